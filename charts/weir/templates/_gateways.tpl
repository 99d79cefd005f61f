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
{{- with .Values.gateways.traefik -}}
{{- if .enabled -}}{{- $out = append $out (.proxyNamespace | default .namespace) -}}{{- end -}}
{{- end -}}
{{- toYaml ($out | uniq) -}}
{{- end -}}
