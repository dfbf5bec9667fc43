{{/*
The pod template of a service, as the values say. A slot context with "image" and "release" (empty: none) besides.

The slot is `__SLOT__` in the PodTemplates of `ownership: pipeline`, which replaces it in the variables' values. The label
is left out there, for it may not look so; the pipeline adds it.
*/}}
{{- define "alfred.pods" -}}
{{- $app := include "alfred.app" . }}
{{- $values := index .root.Values .name }}
{{- $all := .root.Values }}
metadata:
  labels:
    app: {{ $app }}
    {{- if ne .slot "__SLOT__" }}
    slot: {{ .slot }}
    {{- end }}
  {{- with include "alfred.podAnnotations" . | fromYaml }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  terminationGracePeriodSeconds: {{ int64 $all.terminationGracePeriodSeconds }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with $all.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $all.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $all.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: {{ int64 $all.runAsUser }}
    runAsGroup: {{ int64 $all.runAsUser }}
    seccompProfile: {type: RuntimeDefault}
  # Soft: a cluster that has lost a node must still be able to start a slot.
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {app: {{ $app }}}
      matchLabelKeys: [slot, pod-template-hash]
  containers:
    - name: {{ .name }}
      image: {{ .image | quote }}
      ports:
        - {name: http, containerPort: {{ $values.port }}, protocol: TCP}
      env:
        - {name: SLOT, value: {{ .slot }}}
        - {name: HOST, value: 0.0.0.0}
        - {name: PORT, value: {{ $values.port | quote }}}
        {{- if eq .name "gateway" }}
        # The backend of its own slot: what is validated in the dark is the pair that will serve.
        - {name: BACKEND_URL, value: "http://alfred-backend-{{ .slot }}:{{ $all.backend.port }}"}
        {{- end }}
        {{- range $key, $value := $values.env }}
        - {name: {{ $key | quote }}, value: {{ include "alfred.text" $value }}}
        {{- end }}
      {{- with $values.envFrom }}
      envFrom: {{- toYaml . | nindent 8 }}
      {{- end }}
      startupProbe: {{- include "alfred.probe" $values.probes.startup | nindent 8 }}
      readinessProbe: {{- include "alfred.probe" $values.probes.readiness | nindent 8 }}
      livenessProbe: {{- include "alfred.probe" $values.probes.liveness | nindent 8 }}
      lifecycle:
        preStop:
          sleep: {seconds: {{ int64 $all.preStopSleepSeconds }}}
      {{- with $values.resources }}
      resources: {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: 64Mi}
{{- end }}

{{- define "alfred.podAnnotations" -}}
{{- with .release }}
bluegreen.dev/release: {{ . | quote }}
{{- end }}
{{- if .root.Values.prometheus.scrape }}
prometheus.io/scrape: "true"
prometheus.io/port: {{ (index .root.Values .name).port | quote }}
{{- end }}
{{- end }}

{{/*
A variable's value as text. Helm reads numbers of a file as floating ones, of which `quote` makes "1.048576e+07"; JSON writes
them out. For the same reason whole numbers pass through `int64` everywhere.
*/}}
{{- define "alfred.text" -}}
{{- if kindIs "string" . }}{{ quote . }}{{ else }}{{ toJson . | quote }}{{ end }}
{{- end }}

{{- define "alfred.probe" -}}
httpGet: {path: {{ .path | quote }}, port: http}
periodSeconds: {{ int64 .periodSeconds }}
timeoutSeconds: {{ int64 .timeoutSeconds }}
failureThreshold: {{ int64 .failureThreshold }}
{{- end }}

{{/*
The pod template of a slot's Deployment. Of a slot that serves: as it is live, to the last field. Of the other one, and
where the values ask for it: as the values say, with the live image and release.
*/}}
{{- define "alfred.slotPods" -}}
{{- $live := dig "spec" "template" dict (include "alfred.deployment" . | fromYaml) }}
{{- $serves := eq .slot (include "alfred.selector" . | fromYaml | dig "slot" "") }}
{{- if and $live $serves (not .root.Values.applyToActive) }}
{{- set $live "metadata" (omit $live.metadata "creationTimestamp") | toYaml }}
{{- else }}
{{- $release := dig "metadata" "annotations" "bluegreen.dev/release" "" $live }}
{{- include "alfred.pods" (merge (dict "image" (include "alfred.image" .) "release" $release) .) | trim }}
{{- end }}
{{- end }}
