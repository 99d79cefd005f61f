{{/* What follows from the values. A condition answers "true" or nothing. */}}

{{/* Helm drops the default of a key that a values file leaves empty (`extraEnvs:`): puts it back. Must be at the beginning of each
file, because any file may be rendered first. Keys of the node that are empty are left out, at any depth. */}}
{{- define "weir.values" -}}
{{- include "weir.pruned" .Values.config -}}
{{- include "weir.filled" (dict "into" .Values "from" (.Files.Get "files/defaults.yaml" | fromYaml)) -}}
{{- end -}}

{{- define "weir.pruned" -}}
{{- if kindIs "map" . -}}
{{- $map := . -}}
{{- range $key, $value := . -}}
{{- if kindIs "invalid" $value -}}{{- $_ := unset $map $key -}}{{- else -}}{{- include "weir.pruned" $value -}}{{- end -}}
{{- end -}}
{{- else if kindIs "slice" . -}}
{{- range . -}}{{- include "weir.pruned" . -}}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "weir.filled" -}}
{{- $into := .into -}}
{{- range $key, $default := .from -}}
{{- $there := index $into $key -}}
{{- if kindIs "invalid" $there -}}
{{- $_ := set $into $key $default -}}
{{- else if and (kindIs "map" $default) (kindIs "map" $there) -}}
{{- include "weir.filled" (dict "into" $there "from" $default) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Whether a host is the vendor's: the rule that the program itself has. */}}
{{- define "weir.isVendor" -}}
{{- $host := . | trimSuffix "." | lower -}}
{{- if or (regexMatch "(^|\\.)wallarm\\.(com|ru)$" $host) -}}true{{- end -}}
{{- end -}}

{{/* The host of a control plane outside of this release, if one is named. */}}
{{- define "weir.outside" -}}
{{- $host := .Values.config.api.host -}}
{{- if and $host (not (include "weir.isVendor" $host)) -}}{{ $host }}{{- end -}}
{{- end -}}

{{- define "weir.hasControlPlane" -}}
{{- if kindIs "bool" .Values.controlPlane.enabled -}}
{{- if .Values.controlPlane.enabled -}}true{{- end -}}
{{- else if not (include "weir.outside" .) -}}true{{- end -}}
{{- end -}}

{{- define "weir.postgresql" -}}
{{- with .Values.controlPlane.postgresql -}}
{{- if or .url .existingSecret -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/* The kind of workload of the control plane: a StatefulSet if it has a volume. */}}
{{- define "weir.controlPlaneKind" -}}
{{- if and .Values.controlPlane.persistence.enabled (not (include "weir.postgresql" .)) -}}StatefulSet{{- else -}}Deployment{{- end -}}
{{- end -}}

{{/* Whether nodes have a control plane. */}}
{{- define "weir.hasApi" -}}
{{- if or (include "weir.hasControlPlane" .) (include "weir.outside" .) -}}true{{- end -}}
{{- end -}}

{{/* The mode key of the chart is the master switch for blocking. */}}
{{- define "weir.blocking" -}}
{{- with .Values.config.connector -}}
{{- if kindIs "bool" .blocking -}}{{ .blocking }}{{- else -}}{{ ne .mode "monitoring" }}{{- end -}}
{{- end -}}
{{- end -}}

{{/* Where the nodes' certificate is: the name of a Secret. */}}
{{- define "weir.certificateSecret" -}}
{{- with .Values.config.connector.certificate -}}
{{- if .enabled -}}
{{- if .existingSecret.enabled -}}{{ .existingSecret.name }}{{- else -}}{{ include "weir.processing" $ }}-tls{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Whether the cluster says that it knows an API: a cluster always lists the aggregation layer, a bare rendering never
does, and then everything asked for is rendered. Takes root and api. */}}
{{- define "weir.knows" -}}
{{- $versions := .root.Capabilities.APIVersions -}}
{{- if or ($versions.Has .api) (not ($versions.Has "apiregistration.k8s.io/v1")) -}}true{{- end -}}
{{- end -}}

{{/* Bytes of a size, in the units of both Kubernetes and weir. */}}
{{- define "weir.bytes" -}}
{{- $text := toString . | replace "_" "" -}}
{{- $number := regexFind "^[0-9]+([.][0-9]+)?" $text | float64 -}}
{{- $unit := regexReplaceAll "^[0-9]+([.][0-9]+)?" $text "" | trimSuffix "B" -}}
{{- $factor := get (dict "" 1 "k" 1000 "K" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "P" 1000000000000000 "Ti" 1099511627776 "Pi" 1125899906842624) $unit -}}
{{- if not $factor -}}{{- fail (printf "%q is not a size; write a number with Ki, Mi or Gi, such as 512Mi" $text) -}}{{- end -}}
{{- mulf $number $factor | int64 -}}
{{- end -}}

{{/* Whole seconds of a duration such as 1m30s; parts below a second count as one. */}}
{{- define "weir.seconds" -}}
{{- $sum := 0 -}}
{{- range regexFindAll "[0-9.]+[a-zµ]+" (toString .) -1 -}}
{{- $number := regexFind "^[0-9]+" . | int -}}
{{- $unit := regexReplaceAll "^[0-9.]+" . "" -}}
{{- $sum = add $sum (mul $number (get (dict "h" 3600 "m" 60 "s" 1) $unit | default 0)) -}}
{{- if not (has $unit (list "h" "m" "s")) -}}{{- $sum = add $sum 1 -}}{{- end -}}
{{- end -}}
{{- $sum -}}
{{- end -}}

{{/* Seconds for which a role waits for calls under way, and then once more for what is left to be shipped: the node's own 20, or
less where the pod is given less time in all. Takes root and role. */}}
{{- define "weir.drain" -}}
{{- $given := dig "load" "drain_timeout" "" .root.Values.config.node -}}
{{- if $given -}}
{{- include "weir.seconds" $given -}}
{{- else -}}
{{- $values := get .root.Values (ternary "controlPlane" .role (eq .role "control-plane")) -}}
{{- $delay := get $values "drainDelaySeconds" | default 0 -}}
{{- min 20 (div (sub (int $values.terminationGracePeriodSeconds) (add $delay 1)) 2) -}}
{{- end -}}
{{- end -}}

{{/* A value of an existing Secret, decoded; nothing without a cluster. Takes root, name and key. */}}
{{- define "weir.kept" -}}
{{- $secret := lookup "v1" "Secret" .root.Release.Namespace .name -}}
{{- dig "data" .key "" ($secret | default dict) | b64dec -}}
{{- end -}}

{{/* Name and key of the Secret with the token. */}}
{{- define "weir.tokenSecret" -}}
{{- with .Values.config.api.existingSecret -}}
{{- if .enabled -}}
{{- toYaml (dict "name" .secretName "key" .secretKey) -}}
{{- else -}}
{{- toYaml (dict "name" (include "weir.credentials" $) "key" "token") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Where the plugin of this release calls a node: Scheme, host and port, or the sidecar's socket. */}}
{{- define "weir.kong.address" -}}
{{- if .Values.kong.sidecar.enabled -}}
unix:{{ .Values.kong.sidecar.socket }}
{{- else -}}
{{- include "weir.address" . -}}
{{- end -}}
{{- end -}}

{{/* Scheme, host and port at which connectors call the nodes. */}}
{{- define "weir.address" -}}
{{- $scheme := ternary "https" "http" .Values.config.connector.certificate.enabled -}}
{{- $host := printf "%s.%s.svc.%s" (include "weir.processing" .) .Release.Namespace .Values.clusterDomain -}}
{{- printf "%s://%s:%v" $scheme $host .Values.processing.service.port -}}
{{- end -}}

{{/* The port of config.aggregation.serviceAddress. */}}
{{- define "weir.aggregationPort" -}}
{{- regexFind ":[0-9]+$" .Values.config.aggregation.serviceAddress | trimPrefix ":" -}}
{{- end -}}
