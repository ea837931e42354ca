{{- define "talkingvideo.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end -}}
{{- end }}

{{- define "talkingvideo.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "talkingvideo.fullname" .) }}
{{- end }}

{{- define "talkingvideo.leaseName" -}}
{{ (.Values.config.lease | default dict).name | default (include "talkingvideo.fullname" .) }}
{{- end }}

{{- define "talkingvideo.leaseNamespace" -}}
{{ (.Values.config.lease | default dict).namespace | default .Release.Namespace }}
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
  verbs: [get, list, watch]
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
# A video's own Namespace: labels that profiles select by, and annotations with its share. In a Role, that one namespace only.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
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

{{- define "talkingvideo.weightsLabels" -}}
app.kubernetes.io/name: talkingvideo-weights
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: weights
app.kubernetes.io/part-of: talkingvideo
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- /* One step of the pod that fills a claim: a command of `talkingvideo weights`. Only fetching holds the token. */}}
{{- define "talkingvideo.weightsContainer" -}}
{{- $fetch := .root.Values.weights.fetch }}
- name: {{ .command }}
  image: {{ $fetch.image | quote }}
  imagePullPolicy: {{ $fetch.pullPolicy }}
  args: {{- toYaml (concat (list "weights" .command "/weights") .options) | nindent 4 }}
  env:
    - {name: HOME, value: /tmp}
    - {name: TMPDIR, value: /tmp}
    {{- if eq .command "fetch" }}
    {{- range $name, $value := $fetch.env }}
    - {name: {{ $name }}, value: {{ $value | quote }}}
    {{- end }}
    {{- if $fetch.token.secretName }}
    - name: HF_TOKEN
      valueFrom: {secretKeyRef: {name: {{ $fetch.token.secretName }}, key: {{ $fetch.token.key }}}}
    {{- end }}
    {{- end }}
  resources: {{- toYaml $fetch.resources | nindent 4 }}
  # Without a termination message, the end of the log is used.
  terminationMessagePolicy: FallbackToLogsOnError
  securityContext:
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities: {drop: [ALL]}
  volumeMounts:
    - {name: weights, mountPath: /weights}
    - {name: tmp, mountPath: /tmp}
{{- end }}

{{- /* The pod that fills a claim with weights: it fetches, then converts. */}}
{{- define "talkingvideo.weightsPod" -}}
{{- $fetch := .Values.weights.fetch }}
{{- $parts := list }}
{{- range $fetch.parts }}
{{- $parts = concat $parts (list "--only" .) }}
{{- end }}
{{- $fetching := include "talkingvideo.weightsContainer" (dict "root" . "command" "fetch" "options" $parts) }}
{{- $converting := include "talkingvideo.weightsContainer" (dict "root" . "command" "convert" "options" list) }}
metadata:
  labels: {{- include "talkingvideo.weightsLabels" . | nindent 4 }}
spec:
  restartPolicy: OnFailure
  automountServiceAccountToken: false
  enableServiceLinks: false
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  {{- if $fetch.convert }}
  initContainers: {{- $fetching | nindent 4 }}
  containers: {{- $converting | nindent 4 }}
  {{- else }}
  containers: {{- $fetching | nindent 4 }}
  {{- end }}
  volumes:
    - name: weights
      persistentVolumeClaim: {claimName: {{ .Values.weights.claim.name }}}
    - name: tmp
      emptyDir: {sizeLimit: 1Gi}
  {{- with $fetch.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $fetch.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $fetch.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
