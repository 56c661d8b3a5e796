{{- define "miraft.name" -}}
{{- $name := .Release.Name -}}
{{- if not (contains .Chart.Name $name) }}{{ $name = printf "%s-%s" $name .Chart.Name }}{{ end -}}
{{- /* Room for "-storage-" and a number: a pod's name is a host name too. */ -}}
{{- $name | trunc 48 | trimSuffix "-" -}}
{{- end }}

{{- define "miraft.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "miraft.labels" -}}
{{ include "miraft.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- /* What follows a pod's name in its DNS name. */ -}}
{{- define "miraft.domain" -}}
{{ include "miraft.name" .root }}-{{ .part }}.{{ .root.Release.Namespace }}.svc
{{- with .root.Values.clusterDomain }}.{{ . }}{{ end }}
{{- end }}

{{- define "miraft.metaAddress" -}}
{{ include "miraft.name" .root }}-meta-{{ .number }}.{{ include "miraft.domain" (dict "root" .root "part" "meta") }}:7300
{{- end }}

{{- define "miraft.metaAddresses" -}}
{{- $all := list -}}
{{- range $number := untilStep 1 (int (add1 .Values.meta.replicas)) 1 -}}
{{- $all = append $all (include "miraft.metaAddress" (dict "root" $ "number" $number)) -}}
{{- end -}}
{{ join "," $all }}
{{- end }}

{{- define "miraft.metaPeers" -}}
{{- $all := list -}}
{{- range $number := untilStep 1 (int (add1 .Values.meta.replicas)) 1 -}}
{{- $all = append $all (printf "%d=%s" $number (include "miraft.metaAddress" (dict "root" $ "number" $number))) -}}
{{- end -}}
{{ join "," $all }}
{{- end }}

{{- /* `options` as environment variables; lists with commas, numbers never as 1e+09. */ -}}
{{- define "miraft.options" -}}
{{- $part := .part -}}
{{- range $key, $value := .options }}
- name: MIRAFT_{{ upper $part }}_{{ upper $key }}
  {{- if kindIs "slice" $value }}
  value: {{ join "," $value | quote }}
  {{- else if kindIs "float64" $value }}
  value: {{ if eq (floor $value) $value }}{{ int64 $value | toString | quote }}{{ else }}{{ $value | toString | quote }}{{ end }}
  {{- else }}
  value: {{ $value | toString | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "miraft.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "miraft.secretName" -}}
{{ .Values.auth.existingSecret | default (printf "%s-auth" (include "miraft.name" .)) }}
{{- end }}

{{- /* All of a pod that does not depend on the part; `values` is the part's. */ -}}
{{- define "miraft.pod" -}}
automountServiceAccountToken: false
# Kubernetes would set variables like MIRAFT_META_PORT, and the processes refuse options they do not know.
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .values.terminationGracePeriodSeconds }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if ne .values.antiAffinity "none" }}
affinity:
  podAntiAffinity:
    {{- if eq .values.antiAffinity "hard" }}
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels: {{- include "miraft.selector" . | nindent 12 }}
    {{- else }}
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels: {{- include "miraft.selector" . | nindent 14 }}
    {{- end }}
{{- end }}
{{- end }}

{{- define "miraft.container" -}}
image: {{ include "miraft.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
command: [miraft-{{ .part }}, --config, /etc/miraft/{{ .part }}.toml]
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
startupProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 2
  failureThreshold: 150
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 3
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
resources: {{- toYaml .values.resources | nindent 2 }}
{{- end }}

{{- define "miraft.podMetadata" -}}
labels: {{- include "miraft.labels" . | nindent 2 }}
annotations:
  checksum/config: {{ (.root.Files.Get (printf "config/%s.toml" .part)) | sha256sum }}
  {{- with .root.Values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "miraft.claim" -}}
volumeClaimTemplates:
  - metadata:
      name: data
    spec:
      accessModes: [ReadWriteOnce]
      {{- with .persistence.storageClassName }}
      storageClassName: {{ . }}
      {{- end }}
      resources:
        requests:
          storage: {{ .persistence.size }}
{{- end }}
