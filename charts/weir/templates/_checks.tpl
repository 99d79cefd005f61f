{{/* Refuses combinations that cannot work, each with a sentence that says what to do. */}}
{{- define "weir.checks" -}}
{{- $connector := .Values.config.connector -}}
{{- $plane := .Values.controlPlane -}}
{{- $outside := include "weir.outside" . -}}
{{- $has := include "weir.hasControlPlane" . -}}

{{- if eq $connector.mode "envoy-external-filter" -}}
{{- fail "config.connector.mode is envoy-external-filter, but weir does not support the Envoy filter protocol: use connector-server with one of its connectors." -}}
{{- end -}}
{{- if and $has $outside -}}
{{- fail (printf "controlPlane.enabled is true, but config.api.host names another control plane (%s): remove config.api.host to use the one of this release, or set controlPlane.enabled=false." $outside) -}}
{{- end -}}
{{- if and .Values.aggregation.enabled (not (include "weir.hasApi" .)) -}}
{{- fail "The aggregation has no control plane: set config.api.host to your control plane, or controlPlane.enabled=true, or, for nodes that work alone, aggregation.enabled=false." -}}
{{- end -}}
{{- if and $outside (not .Values.config.api.token) (not .Values.config.api.existingSecret.enabled) -}}
{{- fail (printf "Nodes cannot register with %s without a token: set config.api.token, or config.api.existingSecret." $outside) -}}
{{- end -}}
{{- if and $has .Values.config.api.token (lt (len .Values.config.api.token) 16) -}}
{{- fail "config.api.token has fewer than 16 characters, and the control plane does not accept it as its first Deploy token: choose a longer one, or remove it to have one generated." -}}
{{- end -}}
{{- with .Values.config.api.existingSecret -}}
{{- if and .enabled (not .secretName) -}}{{- fail "config.api.existingSecret is enabled, but names no Secret: set config.api.existingSecret.secretName." -}}{{- end -}}
{{- end -}}

{{- with $connector.certificate -}}
{{- $ways := list -}}
{{- range $way := list "certManager" "existingSecret" "customSecret" "certgen" -}}
{{- if (get $connector.certificate $way).enabled -}}{{- $ways = append $ways $way -}}{{- end -}}
{{- end -}}
{{- if and .enabled (ne (len $ways) 1) -}}
{{- fail (printf "config.connector.certificate is enabled with %d sources (%s): enable exactly one of certManager, existingSecret, customSecret, certgen." (len $ways) (join ", " $ways | default "none")) -}}
{{- end -}}
{{- if and .enabled .certManager.enabled (not .certManager.issuerRef.name) -}}{{- fail "config.connector.certificate.certManager needs issuerRef.name, the name of an Issuer." -}}{{- end -}}
{{- if and .enabled .existingSecret.enabled (not .existingSecret.name) -}}{{- fail "config.connector.certificate.existingSecret needs name, the Secret with tls.crt and tls.key." -}}{{- end -}}
{{- if and .enabled .customSecret.enabled (not (and .customSecret.crt .customSecret.key)) -}}{{- fail "config.connector.certificate.customSecret needs crt and key, base64 of PEM." -}}{{- end -}}
{{- range $key := list "crt" "key" "ca" -}}
{{- if not (regexMatch "^[A-Za-z0-9+/\\s]*[=\\s]*$" (get $connector.certificate.customSecret $key | toString)) -}}
{{- fail (printf "config.connector.certificate.customSecret.%s is not base64: use the output of `base64 FILE`." $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $connector.auth.clientCaSecret (not $connector.certificate.enabled) -}}
{{- fail "config.connector.auth.clientCaSecret requires client certificates, which need TLS: enable config.connector.certificate too." -}}
{{- end -}}
{{- if and $connector.auth.keys $connector.auth.existingSecret -}}
{{- fail "config.connector.auth has both keys and existingSecret: put all keys into one of them." -}}
{{- end -}}

{{- range $name, $gateway := .Values.gateways -}}
{{- if $gateway.enabled -}}
{{- if not $gateway.namespace -}}
{{- fail (printf "gateways.%s is enabled without a namespace: set gateways.%s.namespace." $name $name) -}}
{{- end -}}
{{- if or $connector.certificate.enabled $connector.auth.keys $connector.auth.existingSecret -}}
{{- fail (printf "gateways.%s renders calls without TLS and without a key, but config.connector has certificate or auth: remove them, or set gateways.%s.enabled=false and write the objects by hand." $name $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- if and .Values.gateways.nginx.failOpen (eq .Values.gateways.nginx.kind "ingress-nginx") -}}
{{- fail "gateways.nginx.failOpen is set, but ingress-nginx cannot let requests pass without a verdict: remove it." -}}
{{- end -}}

{{- if $has -}}
{{- if and (gt (int $plane.replicaCount) 1) (not (include "weir.postgresql" .)) -}}
{{- fail (printf "controlPlane.replicaCount is %d, but the embedded database supports one pod: set controlPlane.postgresql, or use one replica." (int $plane.replicaCount)) -}}
{{- end -}}
{{- if and $plane.postgresql.url $plane.postgresql.existingSecret -}}
{{- fail "controlPlane.postgresql has both url and existingSecret: keep one of them." -}}
{{- end -}}
{{- if and $plane.admin.password $plane.admin.existingSecret -}}
{{- fail "controlPlane.admin has both password and existingSecret: keep one of them." -}}
{{- end -}}
{{- if and $plane.ingress.enabled (not $plane.ingress.hosts) -}}
{{- fail "controlPlane.ingress is enabled without hosts: add one, such as `- host: console.example.com`." -}}
{{- end -}}
{{- with $plane.smtp -}}
{{- if ne (empty .host) (empty .from) -}}
{{- fail "controlPlane.smtp needs host and from: set both or none." -}}
{{- end -}}
{{- if ne (empty .user) (empty .existingSecret) -}}
{{- fail "controlPlane.smtp needs user and existingSecret, the Secret with the user's password: set both or none." -}}
{{- end -}}
{{- if and .user (not .host) -}}
{{- fail "controlPlane.smtp.user is set without host: set the mail server." -}}
{{- end -}}
{{- if and .user (eq .tls "none") -}}
{{- fail "controlPlane.smtp.user is set with tls none, which would send the password in the clear: use starttls or implicit." -}}
{{- end -}}
{{- end -}}
{{- if and $plane.oidc.issuer (not $plane.oidc.clientId) -}}
{{- fail "controlPlane.oidc.issuer is set without clientId: set both or none." -}}
{{- end -}}
{{- end -}}

{{- $drain := include "weir.drain" (dict "root" . "role" "processing") | int | max 1 -}}
{{- $needed := add (mul 2 $drain) .Values.processing.drainDelaySeconds | int -}}
{{- if le (int .Values.processing.terminationGracePeriodSeconds) $needed -}}
{{- fail (printf "processing.terminationGracePeriodSeconds is %d, but drainDelaySeconds and the drain (of calls, then of records) take up to %d: pods would be killed with calls in progress. Increase it." (int .Values.processing.terminationGracePeriodSeconds) $needed) -}}
{{- end -}}
{{- with .Values.processing.spool -}}
{{- if ge (include "weir.bytes" .size | int64) (include "weir.bytes" .sizeLimit | int64) -}}
{{- fail (printf "processing.spool.size (%s) does not fit into processing.spool.sizeLimit (%s): the pod would be evicted when the spool fills. Leave a quarter free." .size .sizeLimit) -}}
{{- end -}}
{{- end -}}
{{- with .Values.aggregation.spool -}}
{{- if ge (include "weir.bytes" .records | int64) (include "weir.bytes" .size | int64) -}}
{{- fail (printf "aggregation.spool.records (%s) does not fit into aggregation.spool.size (%s). Leave a quarter free." .records .size) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.aggregation.enabled (eq .Values.aggregation.kind "StatefulSet") -}}
{{- include "weir.checks.claims" (dict "root" . "volume" .Values.aggregation.spool "name" (include "weir.aggregation" .) "path" "aggregation.spool") -}}
{{- end -}}
{{- if and $has (eq (include "weir.controlPlaneKind" .) "StatefulSet") -}}
{{- include "weir.checks.claims" (dict "root" . "volume" $plane.persistence "name" (include "weir.controlPlane" .) "path" "controlPlane.persistence") -}}
{{- end -}}
{{- range $role := list "processing" "aggregation" -}}
{{- $scale := (get $.Values $role).autoscaling -}}
{{- if $scale.enabled -}}
{{- if gt (int $scale.minReplicas) (int $scale.maxReplicas) -}}
{{- fail (printf "%s.autoscaling: minReplicas is %d, above maxReplicas, which is %d." $role (int $scale.minReplicas) (int $scale.maxReplicas)) -}}
{{- end -}}
{{- if not (or $scale.targetCPUUtilizationPercentage $scale.targetMemoryUtilizationPercentage (get $scale "targetInFlight")) -}}
{{- fail (printf "%s.autoscaling is enabled without a target: set targetCPUUtilizationPercentage." $role) -}}
{{- end -}}
{{- if and (get $scale "targetInFlight") (not $.Values.processing.metrics.enabled) -}}
{{- fail "processing.autoscaling.targetInFlight scales by a metric, but processing.metrics.enabled is false." -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.aggregation.autoscaling.enabled (eq .Values.aggregation.kind "DaemonSet") -}}
{{- fail "aggregation.autoscaling cannot scale a DaemonSet: use kind StatefulSet, or turn it off." -}}
{{- end -}}
{{- if and .Values.processing.metrics.serviceMonitor.enabled (not .Values.processing.metrics.enabled) -}}
{{- fail "processing.metrics.serviceMonitor is enabled, but processing.metrics.enabled is false: nothing could be scraped." -}}
{{- end -}}
{{- if and .Values.kong.enabled (not .Values.kong.namespace) -}}
{{- fail "kong.enabled needs kong.namespace, the namespace that Kong runs in: the plugin's ConfigMap has to be there." -}}
{{- end -}}
{{- with .Values.kong.sidecar -}}
{{- if .enabled -}}
{{- if not $.Values.kong.enabled -}}{{- fail "kong.sidecar.enabled needs kong.enabled: the sidecar is a part of Kong's pods." -}}{{- end -}}
{{- if and (include "weir.sidecar.secret" $) (not .existingSecret) -}}
{{- fail "kong.sidecar needs existingSecret, a Secret in Kong's namespace with the node deployment token (key token) and, if connectors have keys, with connector_key: pods cannot read Secrets of another namespace." -}}
{{- end -}}
{{- if and $connector.auth.clientCaSecret (not (include "weir.sidecar.hasKey" $)) -}}
{{- fail "kong.sidecar listens on a Unix socket, which has no client certificates: set config.connector.auth.keys or existingSecret too." -}}
{{- end -}}
{{- if and $.Values.config.api.caSecret (not $.Values.aggregation.enabled) (not $has) -}}
{{- fail "kong.sidecar cannot read config.api.caSecret, which is in another namespace: set aggregation.enabled=true, through which it reaches the control plane." -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $key, $way := dict "address" "the chart's Services send to port 5000" "tls_cert" "use config.connector.certificate" "tls_key" "use config.connector.certificate" -}}
{{- if get $connector $key -}}{{- fail (printf "config.connector.%s is set by the chart: %s." $key $way) -}}{{- end -}}
{{- end -}}
{{- if and .Values.processing.service.headless (ne .Values.processing.service.type "ClusterIP") -}}
{{- fail (printf "processing.service.headless needs type ClusterIP, but the type is %s, which needs its own address: remove one of them." .Values.processing.service.type) -}}
{{- end -}}
{{- if and .Values.kong.enabled .Values.kong.clusterPlugin (not (or .Values.kong.config.connector_key .Values.kong.connectorKeySecret.name $connector.auth.keys .Values.kong.config.client_certificate)) (or $connector.auth.existingSecret $connector.auth.clientCaSecret) -}}
{{- fail "config.connector.auth requires connectors to authenticate, but the plugin has no credentials, and Kong would forward everything uninspected: set kong.connectorKeySecret.name, or client_certificate and client_key of kong.config." -}}
{{- end -}}
{{- if not (include "weir.aggregationPort" .) -}}
{{- fail (printf "config.aggregation.serviceAddress is %q; write an address with its port, such as 0.0.0.0:3313." .Values.config.aggregation.serviceAddress) -}}
{{- end -}}

{{- $node := .Values.config.node -}}
{{- range $path, $way := dict "connector.address" "the chart's Services send to port 5000" "connector.tls_cert" "use config.connector.certificate" "connector.tls_key" "use config.connector.certificate" "connector.auth.keys" "use config.connector.auth.keys, which are kept in a Secret" "api.token" "use config.api.token, which is kept in a Secret" "api.host" "use config.api.host" "data_dir" "the chart mounts the volume there" "health_check.listen_address" "the probes use port 18080" "metrics.listen_address" "use processing.metrics.port" "aggregation.service_address" "use config.aggregation.serviceAddress" "control_plane.address" "use controlPlane.service.port" "control_plane.database" "use controlPlane.postgresql, which is kept in a Secret" "control_plane.deploy_token" "use config.api.token, which is kept in a Secret" "control_plane.admin_password" "use controlPlane.admin, which is kept in a Secret" "control_plane.oidc.client_secret" "use controlPlane.oidc.existingSecret" -}}
{{- $at := $node -}}
{{- range splitList "." $path -}}
{{- if kindIs "map" $at -}}{{- $at = get $at . -}}{{- else -}}{{- $at = "" -}}{{- end -}}
{{- end -}}
{{- if $at -}}{{- fail (printf "config.node.%s is set by the chart: %s." $path $way) -}}{{- end -}}
{{- end -}}
{{- if eq (dig "health_check" "enabled" true $node | toString) "false" -}}
{{- fail "config.node.health_check.enabled is false, but the probes need it: pods would be killed. Remove it." -}}
{{- end -}}
{{- $metrics := .Values.processing.metrics.enabled -}}
{{- if ne (dig "metrics" "enabled" $metrics $node) $metrics -}}
{{- fail "config.node.metrics.enabled is set by the chart: use processing.metrics.enabled." -}}
{{- end -}}
{{- end -}}

{{/* Kubernetes refuses changes to the claim templates of an existing StatefulSet; this refuses them earlier, and says what to do. */}}
{{- define "weir.checks.claims" -}}
{{- $there := lookup "apps/v1" "StatefulSet" .root.Release.Namespace .name -}}
{{- if and $there (eq .root.Release.Name (dig "metadata" "annotations" "meta.helm.sh/release-name" "" $there)) -}}
{{- $claim := dig "spec" "volumeClaimTemplates" list $there | first | default dict -}}
{{- $was := dict "size" (dig "spec" "resources" "requests" "storage" "" $claim) "storageClassName" (dig "spec" "storageClassName" "" $claim) "accessModes" (dig "spec" "accessModes" list $claim | join ", ") "annotations" (dig "metadata" "annotations" dict $claim | default dict | toJson) -}}
{{- $is := dict "size" .volume.size "storageClassName" .volume.storageClassName "accessModes" (.volume.accessModes | join ", ") "annotations" (.volume.annotations | default dict | toJson) -}}
{{- range $key, $old := $was -}}
{{- $new := get $is $key -}}
{{- /* Kubernetes writes 1024Mi as 1Gi. */ -}}
{{- $same := eq $old $new -}}
{{- if and (eq $key "size") $old -}}{{- $same = eq (include "weir.bytes" $old) (include "weir.bytes" $new) -}}{{- end -}}
{{- if and $claim (not $same) -}}
{{- fail (printf "%s.%s is %q, but StatefulSet %s was made with %q, and Kubernetes cannot change claim templates. Change the volume claims themselves, then run: kubectl -n %s delete statefulset %s --cascade=orphan, and upgrade again." $.path $key $new $.name $old $.root.Release.Namespace $.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
