{{- define "talkingvideo.gatewayName" -}}
{{ include "talkingvideo.fullname" . }}-gateway
{{- end }}

{{- define "talkingvideo.gatewayAccount" -}}
{{ .Values.gateway.serviceAccount.name | default (include "talkingvideo.gatewayName" .) }}
{{- end }}

{{- define "talkingvideo.gatewaySelector" -}}
app.kubernetes.io/name: talkingvideo-gateway
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end }}

{{- define "talkingvideo.gatewayLabels" -}}
{{ include "talkingvideo.gatewaySelector" . }}
app.kubernetes.io/part-of: talkingvideo
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "talkingvideo.linkKeySecret" -}}
{{ .Values.gateway.linkKey.secretName | default (printf "%s-key" (include "talkingvideo.gatewayName" .)) }}
{{- end }}

{{- define "talkingvideo.gatewayRules" -}}
- apiGroups: [talkingvideo.dev]
  resources: [talkingvideos]
  verbs: [get, list, watch, create, patch, delete]
{{- end }}

{{- /*
The gateway's configuration file: what has a value of its own, and .Values.gateway.config on top. Its stores are the buckets of
the default profile, so that it uploads to where the operator lets videos read, and finds results where the operator puts them.
*/}}
{{- define "talkingvideo.gatewayConfig" -}}
{{- $gateway := .Values.gateway }}
{{- $how := dict }}
{{- if $gateway.authentication.tokens.secretName }}
{{- $_ := set $how "tokens" "/etc/talkingvideo/tokens" }}
{{- end }}
{{- if $gateway.authentication.kubernetes.enabled }}
{{- $_ := set $how "kubernetes" (omit $gateway.authentication.kubernetes "enabled") }}
{{- end }}
{{- if $gateway.authentication.proxy.addresses }}
{{- $_ := set $how "proxy" $gateway.authentication.proxy }}
{{- end }}
{{- if not $how }}
{{- fail "gateway.enabled needs gateway.authentication: tokens.secretName, kubernetes.enabled or proxy.addresses" }}
{{- end }}
{{- $profile := .Values.profiles.default | default dict }}
{{- $stores := dict }}
{{- range $name, $store := $profile.stores }}
{{- if $store.s3 }}
{{- $bucket := dict }}
{{- range list "bucket" "prefix" "endpoint" "region" "addressingStyle" }}
{{- if index $store.s3 . }}
{{- $_ := set $bucket . (index $store.s3 .) }}
{{- end }}
{{- end }}
{{- $_ := set $stores $name (dict "s3" $bucket) }}
{{- end }}
{{- end }}
{{- $cluster := dict "namespaces" .Values.namespaces "stores" $stores "defaultStore" ($profile.defaultStore | default "default") }}
{{- $_ := set $cluster "engine" ($profile.engine | default "infinitetalk") }}
{{- $_ := set $cluster "gpu" (not (and (hasKey $profile "gpu") (kindIs "invalid" $profile.gpu))) }}
{{- $_ := set $cluster "operatorLease" (dict "name" (include "talkingvideo.leaseName" .) "namespace" (include "talkingvideo.leaseNamespace" .)) }}
{{- $namespace := $gateway.namespace | default (first (append .Values.namespaces .Release.Namespace)) }}
{{- $config := dict "namespace" $namespace "publicUrl" $gateway.publicUrl "authentication" $how "cluster" $cluster "linkKey" "/etc/talkingvideo/key/key" }}
{{- toYaml (mergeOverwrite $config (deepCopy $gateway.config)) }}
{{- end }}
