{{/* Gateways other than Kong. */}}

{{/* The namespace of Envoy's pods. */}}
{{- define "weir.gateways.envoyPods" -}}
{{- with .Values.gateways.envoy -}}
{{- .proxyNamespace | default (ternary "envoy-gateway-system" .namespace (eq .kind "envoy-gateway")) -}}
{{- end -}}
{{- end -}}

{{/* The namespaces whose pods may call the nodes, as a list in YAML. */}}
{{- define "weir.gateways.namespaces" -}}
{{- $out := list -}}
{{- if .Values.gateways.envoy.enabled -}}{{- $out = append $out (include "weir.gateways.envoyPods" .) -}}{{- end -}}
{{- range list .Values.gateways.traefik .Values.gateways.nginx -}}
{{- if .enabled -}}{{- $out = append $out (.proxyNamespace | default .namespace) -}}{{- end -}}
{{- end -}}
{{- toYaml ($out | uniq) -}}
{{- end -}}

{{/* The URL that ingress-nginx calls about each request. */}}
{{- define "weir.gateways.ingressNginxURL" -}}
{{- $host := include "weir.host" (dict "root" . "name" (include "weir.processing" .)) -}}
{{- printf "http://%s:%d/v1/forward-auth/ingress-nginx?deadline_ms=%d" $host (int .Values.processing.service.port) (int .Values.gateways.nginx.timeoutMs) -}}
{{- end -}}
