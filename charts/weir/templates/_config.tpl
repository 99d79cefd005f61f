{{/* The configuration of each role, as docs/configuration.md describes it. */}}

{{/* YAML 1.1 reads a bare `off` as false: puts the word back, at any depth. Changes its argument. */}}
{{- define "weir.words" -}}
{{- if kindIs "map" . -}}
{{- $map := . -}}
{{- range $key, $value := . -}}
{{- if and (kindIs "bool" $value) (has $key (list "wallarm_mode" "wallarm_mode_allow_override")) -}}
{{- $_ := set $map $key (ternary "on" "off" $value) -}}
{{- else -}}
{{- include "weir.words" $value -}}
{{- end -}}
{{- end -}}
{{- with get $map "overlimit" -}}
{{- if and (kindIs "map" .) (kindIs "bool" .mode) -}}{{- $_ := set . "mode" "off" -}}{{- end -}}
{{- end -}}
{{- else if kindIs "slice" . -}}
{{- range . -}}{{- include "weir.words" . -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/* What every role has. */}}
{{- define "weir.config.common" -}}
{{- $connector := .Values.config.connector -}}
{{- $log := deepCopy $connector.log -}}
{{- if $connector.log_level -}}{{- $_ := set $log "level" $connector.log_level -}}{{- end -}}
{{- if eq $log.level "fatal" -}}{{- $_ := set $log "level" "error" -}}{{- end -}}
{{- $_ := unset $log "proton_log_mask" -}}
{{- $metrics := .Values.processing.metrics -}}
version: 4
data_dir: /var/lib/weir
log:
  {{- toYaml $log | nindent 2 }}
metrics:
  enabled: {{ $metrics.enabled }}
  listen_address: ":{{ $metrics.port }}"
health_check:
  enabled: true
  listen_address: ":18080"
{{- end -}}

{{/* The address to which a role connects. Takes root and to: aggregation or api. */}}
{{- define "weir.config.api" -}}
{{- $root := .root -}}
{{- $api := $root.Values.config.api -}}
{{- if eq .to "aggregation" }}
host: {{ include "weir.host" (dict "root" $root "name" (include "weir.aggregation" $root)) | quote }}
port: {{ $root.Values.aggregation.service.port }}
use_ssl: false
{{- else if include "weir.hasControlPlane" $root }}
host: {{ include "weir.host" (dict "root" $root "name" (include "weir.controlPlane" $root)) | quote }}
port: {{ $root.Values.controlPlane.service.port }}
use_ssl: false
{{- else }}
host: {{ include "weir.outside" $root | quote }}
port: {{ $api.port }}
use_ssl: {{ $api.useSSL }}
ca_verify: {{ $api.caVerify }}
{{- if $api.caSecret }}
ca_file: /etc/weir/api-ca/ca.crt
{{- end }}
{{- end }}
token_file: /etc/weir/token/token
node_group: {{ $api.nodeGroup | quote }}
{{- end -}}

{{/* connector: keys that the chart sets, and keys that it passes on unchanged. */}}
{{- define "weir.config.connector" -}}
{{- $given := .Values.config.connector -}}
{{- $own := list "mode" "blocking" "certificate" "auth" "route_config" "http_inspector" "proxy_headers" "input_filters" "log" "log_level" "real_ip_header" "disable_mesh" "mesh" "metrics" "health_check" "drop_on_overload" -}}
{{- $connector := dict "address" ":5000" "blocking" (eq (include "weir.blocking" .) "true") -}}
{{- if $given.certificate.enabled -}}
{{- $_ := set $connector "tls_cert" "/etc/weir/tls/tls.crt" -}}
{{- $_ := set $connector "tls_key" "/etc/weir/tls/tls.key" -}}
{{- end -}}
{{- $auth := dict -}}
{{- $files := list -}}
{{- range $at, $key := $given.auth.keys -}}{{- $files = append $files (printf "/etc/weir/connector-keys/connector-key-%d" $at) -}}{{- end -}}
{{- if $given.auth.existingSecret -}}
{{- range $given.auth.existingSecretKeys -}}{{- $files = append $files (printf "/etc/weir/connector-keys/%s" .) -}}{{- end -}}
{{- end -}}
{{- if $files -}}{{- $_ := set $auth "key_files" $files -}}{{- end -}}
{{- if $given.auth.clientCaSecret -}}{{- $_ := set $auth "client_ca" "/etc/weir/client-ca/ca.crt" -}}{{- end -}}
{{- if $auth -}}{{- $_ := set $connector "auth" $auth -}}{{- end -}}
{{- range $key, $value := $given -}}
{{- if and (not (has $key $own)) (not (kindIs "invalid" $value)) -}}{{- $_ := set $connector $key $value -}}{{- end -}}
{{- end -}}
{{- toYaml $connector -}}
{{- end -}}

{{- define "weir.config.inspection" -}}
{{- $given := .Values.config.connector -}}
{{- $inspector := omit $given.http_inspector "wallarm_dir" "shm_dir" "api_firewall_enabled" "api_firewall_database" "wmcp_enabled" -}}
{{- if $given.real_ip_header -}}{{- $_ := set $inspector "real_ip_header" $given.real_ip_header -}}{{- end -}}
{{- $out := dict "connector" (include "weir.config.connector" . | fromYaml) -}}
{{- with $inspector -}}{{- $_ := set $out "http_inspector" . -}}{{- end -}}
{{- range $key := list "route_config" "proxy_headers" "input_filters" -}}
{{- with get $given $key -}}{{- $_ := set $out $key . -}}{{- end -}}
{{- end -}}
{{- if $.Values.config.policy -}}{{- $_ := set $out "policy" (dict "file" "/etc/weir/config/policy.yaml") -}}{{- end -}}
{{- if $.Values.config.rules -}}{{- $_ := set $out "rules" (dict "directories" (list "/etc/weir/rules")) -}}{{- end -}}
{{- toYaml $out -}}
{{- end -}}

{{- define "weir.config.controlPlane" -}}
{{- $given := .Values.controlPlane -}}
{{- $out := dict "address" (printf ":%d" 8088) "retention_days" $given.retentionDays "admin_login" $given.admin.login -}}
{{- $url := $given.publicUrl -}}
{{- if and (not $url) $given.ingress.enabled -}}
{{- $url = printf "%s://%s" (ternary "https" "http" (not (empty $given.ingress.tls))) (first $given.ingress.hosts | default dict).host -}}
{{- end -}}
{{- with $url -}}{{- $_ := set $out "public_url" . -}}{{- end -}}
{{- if or $given.signingKey.existingSecret (include "weir.postgresql" .) -}}{{- $_ := set $out "key_file" "/etc/weir/signing/policy.key" -}}{{- end -}}
{{- if $given.oidc.issuer -}}
{{- $oidc := dict "issuer" $given.oidc.issuer "client_id" $given.oidc.clientId "role_claim" $given.oidc.roleClaim -}}
{{- with $given.oidc.defaultRole -}}{{- $_ := set $oidc "default_role" . -}}{{- end -}}
{{- $_ := set $out "oidc" $oidc -}}
{{- end -}}
{{- with $given.smtp -}}
{{- if .host -}}
{{- $smtp := dict "host" .host "tls" .tls "from" .from -}}
{{- if not (kindIs "invalid" .port) -}}{{- $_ := set $smtp "port" .port -}}{{- end -}}
{{- if .user -}}{{- $_ := set $smtp "user" .user -}}{{- $_ := set $smtp "password_file" "/etc/weir/smtp/password" -}}{{- end -}}
{{- $_ := set $out "smtp" $smtp -}}
{{- end -}}
{{- end -}}
{{- toYaml $out -}}
{{- end -}}

{{/* The whole file of a role. Takes root and role. */}}
{{- define "weir.config" -}}
{{- $root := .root -}}
{{- $out := include "weir.config.common" $root | fromYaml -}}
{{- if eq .role "processing" -}}
{{- $out = merge $out (include "weir.config.inspection" $root | fromYaml) -}}
{{- if include "weir.hasApi" $root -}}
{{- $to := ternary "aggregation" "api" $root.Values.aggregation.enabled -}}
{{- $_ := set $out "api" (include "weir.config.api" (dict "root" $root "to" $to) | fromYaml) -}}
{{- $_ := set $out "events" (dict "spool_size" $root.Values.processing.spool.size) -}}
{{- else -}}
{{- $_ := set $out "events" (dict "enabled" false) -}}
{{- end -}}
{{- else if eq .role "aggregation" -}}
{{- $_ := set $out "api" (include "weir.config.api" (dict "root" $root "to" "api") | fromYaml) -}}
{{- $_ := set $out "events" (dict "spool_size" $root.Values.aggregation.spool.records) -}}
{{- $_ := set $out "aggregation" (dict "service_address" $root.Values.config.aggregation.serviceAddress) -}}
{{- else -}}
{{- $_ := set $out "control_plane" (include "weir.config.controlPlane" $root | fromYaml) -}}
{{- end -}}
{{- $drain := include "weir.drain" . | int -}}
{{- if lt $drain 20 -}}{{- $_ := set $out "load" (dict "drain_timeout" (printf "%ds" (max 1 $drain))) -}}{{- end -}}
{{- $out = mergeOverwrite $out (deepCopy $root.Values.config.node) -}}
{{- include "weir.words" $out -}}
{{- toYaml $out -}}
{{- end -}}
