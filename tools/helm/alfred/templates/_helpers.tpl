{{/*
Names, and what is live. A service context is (dict "root" $ "name" "backend"); a slot context has a "slot" as well.

Helm reads the cluster in `lookup`: with install, upgrade and `--dry-run=server`. Elsewhere (`helm template`) it finds
nothing, and everything below falls back to the values.
*/}}

{{- define "alfred.app" -}}
alfred-{{ .name }}
{{- end }}

{{- define "alfred.workload" -}}
{{ include "alfred.app" . }}-{{ .slot }}
{{- end }}

{{/* Labels of every object. Not of pods: the chart's version there would start them all anew with each version. */}}
{{- define "alfred.labels" -}}
{{ with .name }}app: alfred-{{ . }}
{{ end -}}
{{ with .slot }}slot: {{ . }}
{{ end -}}
app.kubernetes.io/part-of: alfred
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* Annotations of a live object that are bluegreen's (src/bluegreen/platforms/kubernetes/names.py). */}}
{{- define "alfred.marks" -}}
{{- $marks := dict }}
{{- range $key, $value := dig "metadata" "annotations" dict . }}
{{- if hasPrefix "bluegreen.dev/" $key }}{{ $_ := set $marks $key $value }}{{ end }}
{{- end }}
{{- toYaml $marks }}
{{- end }}

{{/* An annotation for `helm uninstall`, where the values ask for it. */}}
{{- define "alfred.keep" -}}
{{- if .Values.keepOnUninstall }}helm.sh/resource-policy: keep{{ else }}{}{{ end }}
{{- end }}

{{- define "alfred.service" -}}
{{- lookup "v1" "Service" .root.Release.Namespace (include "alfred.app" .) | default dict | toYaml }}
{{- end }}

{{- define "alfred.deployment" -}}
{{- lookup "apps/v1" "Deployment" .root.Release.Namespace (include "alfred.workload" .) | default dict | toYaml }}
{{- end }}

{{/* Whom the Service selects: as it is live, whatever that is, else the first slot. */}}
{{- define "alfred.selector" -}}
{{- $first := dict "app" (include "alfred.app" .) "slot" .root.Values.firstSlot }}
{{- dig "spec" "selector" dict (include "alfred.service" . | fromYaml) | default $first | toYaml }}
{{- end }}

{{/*
The resourceVersion of a live object; empty when there is none. Helm 4 writes an object that it takes over twice, so that
the version would be an old one: it is left out until the object is Helm 4's.
*/}}
{{- define "alfred.version" -}}
{{- $kept := hasPrefix "v3." .root.Capabilities.HelmVersion.Version }}
{{- range dig "metadata" "managedFields" list .live }}
{{- if and (eq .manager "helm") (eq .operation "Apply") }}{{ $kept = true }}{{ end }}
{{- end }}
{{- if $kept }}{{ dig "metadata" "resourceVersion" "" .live }}{{ end }}
{{- end }}

{{/* The image of the live Deployment of the slot; empty when there is none. */}}
{{- define "alfred.liveImage" -}}
{{- $container := .name }}
{{- range dig "spec" "template" "spec" "containers" list (include "alfred.deployment" . | fromYaml) }}
{{- if eq .name $container }}{{ .image }}{{ end }}
{{- end }}
{{- end }}

{{/* The slot's image: as it is live, else the other slot's, for both are one stack, else the value. */}}
{{- define "alfred.image" -}}
{{- $other := set (omit . "slot") "slot" (ternary "green" "blue" (eq .slot "blue")) }}
{{- with include "alfred.liveImage" . | default (include "alfred.liveImage" $other) }}
{{- . }}
{{- else }}
{{- include "alfred.firstImage" . }}
{{- end }}
{{- end }}

{{- define "alfred.firstImage" -}}
{{- $missing := printf "%s.image is not set, and nothing runs whose image could be kept: add --set %s.image=alfredai/%s:TAG" .name .name .name }}
{{- required $missing (index .root.Values .name).image }}
{{- end }}

{{- define "alfred.firstReplicas" -}}
{{- $values := index .root.Values .name }}
{{- add $values.replicas ($values.spareReplicas | default 0) }}
{{- end }}

{{/* How many pods the slot has: as it is live, else the value. 0 is a number, not "none". */}}
{{- define "alfred.replicas" -}}
{{- dig "spec" "replicas" (include "alfred.firstReplicas" .) (include "alfred.deployment" . | fromYaml) }}
{{- end }}

{{/*
The Service's ports: as they are live, to the name, be it none. Under another name nodes would have no endpoints for a
moment, and a port that is found by its name may be another number in pods that were there before.
*/}}
{{- define "alfred.ports" -}}
{{- $port := (index .root.Values .name).port | int }}
{{- $first := list (dict "name" "http" "port" $port "targetPort" $port "protocol" "TCP") }}
{{- dig "spec" "ports" $first (include "alfred.service" . | fromYaml) | toYaml }}
{{- end }}
