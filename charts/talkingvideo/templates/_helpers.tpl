{{- define "talkingvideo.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end -}}
{{- end }}

{{- define "talkingvideo.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "talkingvideo.fullname" .) }}
{{- end }}

{{- define "talkingvideo.labels" -}}
{{ include "talkingvideo.selector" . }}
app.kubernetes.io/part-of: talkingvideo
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "talkingvideo.selector" -}}
app.kubernetes.io/name: talkingvideo-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- /* Where progress is not read from logs, neither is the right to. */}}
{{- define "talkingvideo.rules" -}}
- apiGroups: [talkingvideo.dev]
  resources: [talkingvideos]
  verbs: [list, watch]
- apiGroups: [talkingvideo.dev]
  resources: [talkingvideos/status]
  verbs: [update]
# "get" tells whether a child that is there already is the video's own.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete, deletecollection]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, create, deletecollection]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
{{- if .Values.progressFromLogs }}
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
{{- end }}
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}

{{- /* The operator's configuration file: what has a value of its own at the top, and .Values.config as it is. */}}
{{- define "talkingvideo.config" -}}
{{- range $name, $profile := .Values.profiles }}
{{- range $store, $kinds := $profile.stores }}
{{- if and $kinds.s3 $kinds.pvc }}
{{- fail (printf "profiles.%s.stores.%s has both s3 and pvc; Helm merges your values into the chart's, so write 's3: null' beside your pvc" $name $store) }}
{{- end }}
{{- end }}
{{- end }}
{{- $lease := dict "name" (include "talkingvideo.fullname" .) "namespace" .Release.Namespace }}
{{- $config := merge (dict "profiles" .Values.profiles "namespaces" .Values.namespaces "progressFromLogs" .Values.progressFromLogs) (deepCopy .Values.config) }}
{{- toYaml (set $config "lease" (merge (dict) (.Values.config.lease | default dict) $lease)) }}
{{- end }}
