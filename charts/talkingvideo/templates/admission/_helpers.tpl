{{- /*
Whether the policies are rendered: admissionPolicy.enabled, or where it is "auto", whether the API server has them.
`helm template` does not ask an API server: there "auto" follows Helm's own list, or --api-versions.
*/}}
{{- define "talkingvideo.hasAdmissionPolicy" -}}
{{- $has := .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy" }}
{{- $wanted := toString .Values.admissionPolicy.enabled }}
{{- if or (eq $wanted "true") (and (eq $wanted "auto") $has) }}true{{ end }}
{{- end }}

{{- /* What the profiles together permit, as JSON: lists of names, which are literals of CEL as they stand. */}}
{{- define "talkingvideo.permitted" -}}
{{- $permitted := dict }}
{{- range $list := list "images" "accounts" "keys" "secrets" "pullSecrets" "claims" "caches" "weights" "priorities" "weightsPaths" }}
{{- $_ := set $permitted $list list }}
{{- end }}
{{- range $profile := .Values.profiles }}
{{- $allow := $profile.allow | default dict }}
{{- $secrets := list }}
{{- range $allow.secrets | default list }}
{{- $secrets = append $secrets (kindIs "map" . | ternary (get (kindIs "map" . | ternary . dict) "name") .) }}
{{- end }}
{{- $claims := concat (list $profile.weightsClaim $profile.compileCacheClaim) ($allow.claims | default list) }}
{{- range $store := $profile.stores }}
{{- with $store.s3 }}
{{- $_ := set $permitted "keys" (append $permitted.keys .secretName) }}
{{- $_ := set $permitted "accounts" (append $permitted.accounts .serviceAccountName) }}
{{- end }}
{{- with $store.pvc }}
{{- $claims = append $claims .claim }}
{{- end }}
{{- end }}
{{- $_ := set $permitted "images" (concat $permitted.images (list $profile.workerImage) ($allow.workerImages | default list)) }}
{{- $_ := set $permitted "secrets" (concat $permitted.secrets $secrets) }}
{{- $_ := set $permitted "pullSecrets" (concat $permitted.pullSecrets ($profile.imagePullSecrets | default list) $secrets) }}
{{- $_ := set $permitted "caches" (append $permitted.caches $profile.compileCacheClaim) }}
{{- $_ := set $permitted "weights" (append $permitted.weights $profile.weightsClaim) }}
{{- $_ := set $permitted "claims" (concat $permitted.claims $claims) }}
{{- $_ := set $permitted "priorities" (concat $permitted.priorities ($allow.priorityClasses | default list)) }}
{{- $_ := set $permitted "weightsPaths" (append $permitted.weightsPaths ($profile.weightsPath | default "/weights")) }}
{{- end }}
{{- range $list, $names := $permitted }}
{{- $_ := set $permitted $list ($names | compact | uniq | sortAlpha) }}
{{- end }}
{{- toJson $permitted }}
{{- end }}

{{- /* The policy's binding, and what all policies have in common. */}}
{{- define "talkingvideo.admissionBinding" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ .name }}
  labels: {{- include "talkingvideo.labels" .root | nindent 4 }}
spec:
  policyName: {{ .name }}
  validationActions: [Deny]
{{- end }}

{{- define "talkingvideo.admissionSubject" -}}
failurePolicy: Fail
matchConditions:
  - name: by-the-operator
    {{- $account := printf "system:serviceaccount:%s:%s" .Release.Namespace (include "talkingvideo.serviceAccount" .) }}
    expression: request.userInfo.username == {{ toJson $account }}
{{- end }}
