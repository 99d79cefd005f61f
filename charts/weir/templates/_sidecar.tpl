{{/* A node as a container of Kong's pods. */}}

{{/* Whether it needs a Secret in Kong's namespace: for its token, or for the connector's key. */}}
{{- define "weir.sidecar.secret" -}}
{{- if or (include "weir.hasApi" .) (include "weir.sidecar.hasKey" .) -}}true{{- end -}}
{{- end -}}

{{- define "weir.sidecar.hasKey" -}}
{{- with .Values.config.connector.auth -}}
{{- if or .keys .existingSecret -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/* Its configuration: that of the other nodes, on a Unix socket, which has no TLS. */}}
{{- define "weir.sidecar.config" -}}
{{- $out := include "weir.config" (dict "root" . "role" "processing") | fromYaml -}}
{{- $connector := omit $out.connector "tls_cert" "tls_key" "auth" "allowed_networks" -}}
{{- $_ := set $connector "address" (printf "unix:%s" .Values.kong.sidecar.socket) -}}
{{- if include "weir.sidecar.hasKey" . -}}
{{- $_ := set $connector "auth" (dict "key_files" (list "/etc/weir/secret/connector_key")) -}}
{{- end -}}
{{- $_ := set $out "connector" $connector -}}
{{- with $out.api -}}{{- $_ := set . "token_file" "/etc/weir/secret/token" -}}{{- end -}}
{{- toYaml $out -}}
{{- end -}}
