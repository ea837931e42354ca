{{- /* The namespaces of videos: a NetworkPolicy is for one namespace. */}}
{{- define "talkingvideo.policedNamespaces" -}}
{{- $namespaces := .Values.networkPolicy.namespaces | default .Values.namespaces }}
{{- if not $namespaces }}
{{- fail "networkPolicy.enabled needs networkPolicy.namespaces (or namespaces): a NetworkPolicy is for one namespace" }}
{{- end }}
{{- toJson $namespaces }}
{{- end }}

{{- /* Where names are resolved. */}}
{{- define "talkingvideo.dnsEgress" -}}
{{- $dns := .Values.networkPolicy.dns }}
- ports:
    {{- range $dns.ports }}
    - {protocol: UDP, port: {{ . }}}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  {{- with $dns.to }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- /*
Public addresses on port 443: neither private ones, nor those of metadata services (link-local ones, Azure's, Oracle's), nor such
as carry an IPv4 address in an IPv6 one.
*/}}
{{- define "talkingvideo.publicEgress" -}}
- ports:
    - {protocol: TCP, port: 443}
  to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except: [0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 168.63.129.16/32, 169.254.0.0/16, 172.16.0.0/12, 192.0.0.0/24,
          192.168.0.0/16, 198.18.0.0/15, 224.0.0.0/3]
    - ipBlock: {cidr: "2000::/3", except: ["2001::/32", "2002::/16"]}
{{- end }}
