{{/* What is refused before anything is written, each with the way out. A service context. */}}

{{- define "alfred.refuse" -}}
{{- include "alfred.refuseValues" . }}
{{- $service := include "alfred.service" . | fromYaml }}
{{- if $service }}
{{- include "alfred.refusePort" (dict "at" . "service" $service) }}
{{- include "alfred.refuseAnotherOwner" (dict "at" . "service" $service) }}
{{- if not (dig "metadata" "annotations" "bluegreen.dev/owner" "" $service) }}
{{- include "alfred.refuseAdoption" (dict "at" . "service" $service) }}
{{- end }}
{{- end }}
{{- end }}

{{/*
While a release runs, the slot that it validates is another one than the slot that gets these settings a moment later. The
lock's Lease is renewed every few seconds; one that was not for a minute is nobody's, whatever it says.
*/}}
{{- define "alfred.refuseDuringRelease" -}}
{{- $lease := lookup "coordination.k8s.io/v1" "Lease" .Release.Namespace "bluegreen-alfred" | default dict }}
{{- $renewed := dig "spec" "renewTime" "" $lease }}
{{- if and $renewed (dig "spec" "holderIdentity" "" $lease) }}
{{- $age := sub (now | unixEpoch) (toDate "2006-01-02T15:04:05Z07:00" $renewed | unixEpoch) }}
{{- if lt $age 60 }}
{{- fail "a release of alfred is running, and would validate other settings than it began with: wait for its end, or add --set duringRelease=true" }}
{{- end }}
{{- end }}
{{- end }}

{{/* A Deployment that goes with its PodTemplate would go when the chart no longer has one. */}}
{{- define "alfred.refuseOwned" -}}
{{- $name := include "alfred.workload" . }}
{{- range dig "metadata" "ownerReferences" list (include "alfred.deployment" . | fromYaml) }}
{{- if eq .kind "PodTemplate" }}
{{- fail (printf "Deployment %s belongs to PodTemplate %s, and would be deleted with it; docs/helm.md, Changing the owner" $name .name) }}
{{- end }}
{{- end }}
{{- end }}

{{/* From `ownership: chart` to `pipeline` an upgrade would delete the Deployments that serve; and back the same. */}}
{{- define "alfred.refuseAnotherOwner" -}}
{{- $root := .at.root }}
{{- $owner := dig "metadata" "annotations" "bluegreen.dev/owner" $root.Values.ownership .service }}
{{- if and $root.Release.IsUpgrade (ne $owner $root.Values.ownership) }}
{{- fail (printf "ownership is %s, and %s is live with ownership %s: an upgrade would delete what serves; docs/helm.md, Changing the owner" $root.Values.ownership .service.metadata.name $owner) }}
{{- end }}
{{- end }}

{{/* A Service that was there before the chart. */}}
{{- define "alfred.refuseAdoption" -}}
{{- $name := .service.metadata.name }}
{{- $values := index .at.root.Values .at.name }}
{{- $selector := .service.spec.selector | default dict }}
{{- if and $selector (not (omit $selector "app")) (eq $selector.app $name) }}
{{- fail (printf "Service %s selects app=%s alone, so it would send users to both slots before they are validated; give it and its pods slot=plain first: docs/helm.md, Day 0" $name $name) }}
{{- end }}
{{- if ne .service.spec.type $values.service.type }}
{{- fail (printf "Service %s is of type %s; add --set %s.service.type=%s to keep it so" $name .service.spec.type .at.name .service.spec.type) }}
{{- end }}
{{- end }}

{{/* The slots' pods listen on the port of the values, and the Service's ports stay as they are. */}}
{{- define "alfred.refusePort" -}}
{{- $name := .service.metadata.name }}
{{- $values := index .at.root.Values .at.name }}
{{- $targets := list }}
{{- range .service.spec.ports }}{{ if eq (int .port) (int $values.port) }}{{ $targets = append $targets (toString .targetPort) }}{{ end }}{{ end }}
{{- if not (or (has "http" $targets) (has (toString $values.port) $targets)) }}
{{- fail (printf "Service %s does not send port %v to port %v of its pods, where the slots listen; docs/helm.md, Day 0" $name $values.port $values.port) }}
{{- end }}
{{- end }}

{{/* What a schema could only refuse with a pattern for an explanation. */}}
{{- define "alfred.refuseValues" -}}
{{- $values := index .root.Values .name }}
{{- $image := "^[a-z0-9][a-zA-Z0-9._/:-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})$" }}
{{- if and $values.image (not (regexMatch $image $values.image)) }}
{{- fail (printf "%s.image is %q: give a repository with a tag or a digest, for example alfredai/%s:v2.1.0" .name $values.image .name) }}
{{- end }}
{{- range list "SLOT" "PORT" "HOST" "BACKEND_URL" }}
{{- if hasKey $values.env . }}{{ fail (printf "%s.env sets %s, which is the chart's own; leave it out" $.name .) }}{{ end }}
{{- end }}
{{- end }}
