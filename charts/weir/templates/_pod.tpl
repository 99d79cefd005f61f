{{/* What the pods of every role share. Each takes root, role and values, the role's own part. */}}

{{- define "weir.pod.metadata" -}}
labels:
  {{- /* Without the chart's version: a new chart alone must not replace pods. */}}
  {{- $own := merge (include "weir.selector" . | fromYaml) (dict "app.kubernetes.io/part-of" "weir") }}
  {{- $extra := mergeOverwrite (deepCopy .root.Values.extraLabels) .values.extraLabels .values.podLabels }}
  {{- toYaml (mergeOverwrite (deepCopy $extra) $own) | nindent 2 }}
annotations:
  checksum/config: {{ include "weir.config" . | sha256sum }}
  {{- if eq .role "control-plane" }}
  {{- /* Read once, at the start. The contents of existing Secrets are not known here. */}}
  {{- with list .root.Values.config.api.token .root.Values.controlPlane.postgresql.url | join "\n" | trim }}
  checksum/secrets: {{ sha256sum . }}
  {{- end }}
  {{- end }}
  {{- with mergeOverwrite (deepCopy .root.Values.extraAnnotations) .values.extraAnnotations .values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "weir.pod.settings" -}}
serviceAccountName: {{ include "weir.serviceAccount" .root | toYaml }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- include "weir.pullSecrets" . }}
securityContext:
  {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
terminationGracePeriodSeconds: {{ .values.terminationGracePeriodSeconds }}
{{- range $key := list "nodeSelector" "tolerations" "affinity" }}
{{- with get $.values $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- /* In the machine's network, only this policy finds the Services of the cluster. */}}
{{- $host := get .values "hostNetwork" | default false }}
{{- with get .values "dnsPolicy" | default (ternary "ClusterFirstWithHostNet" "" $host) }}
dnsPolicy: {{ toYaml . }}
{{- end }}
{{- range $key := list "priorityClassName" "runtimeClassName" "hostNetwork" }}
{{- with get $.values $key }}
{{ $key }}: {{ toYaml . }}
{{- end }}
{{- end }}
{{- with .values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- else }}
{{- if not .values.affinity }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "weir.selector" . | nindent 8 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Each Secret once, whether it was given by name or as an object. */}}
{{- define "weir.pullSecrets" -}}
{{- $names := list -}}
{{- range concat .root.Values.imagePullSecrets .values.imagePullSecrets -}}
{{- if kindIs "map" . -}}{{- $names = append $names .name -}}{{- else -}}{{- $names = append $names . -}}{{- end -}}
{{- end -}}
{{- with uniq $names }}
imagePullSecrets:
  {{- range . }}
  - name: {{ toYaml . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* How pods are replaced, without what the kind does not know: files of older charts have what a Deployment takes, and the
aggregation is a StatefulSet. Takes kind and given. */}}
{{- define "weir.strategy" -}}
{{- $types := ternary (list "RollingUpdate" "Recreate") (list "RollingUpdate" "OnDelete") (eq .kind "Deployment") -}}
{{- $steps := ternary (list "maxUnavailable" "partition") (list "maxUnavailable" "maxSurge") (eq .kind "StatefulSet") -}}
{{- $given := .given | default dict -}}
{{- $type := $given.type | default "RollingUpdate" -}}
{{- if and $given (has $type $types) -}}
{{- $out := dict "type" $type -}}
{{- if eq $type "RollingUpdate" -}}
{{- $rolling := dict -}}
{{- range $key, $value := $given.rollingUpdate | default dict -}}
{{- $stuck := and (eq $.kind "StatefulSet") (eq $key "maxUnavailable") (has (toString $value) (list "0" "0%")) -}}
{{- if and (has $key $steps) (not (kindIs "invalid" $value)) (not $stuck) -}}{{- $_ := set $rolling $key $value -}}{{- end -}}
{{- end -}}
{{- with $rolling -}}{{- $_ := set $out "rollingUpdate" . -}}{{- end -}}
{{- end -}}
{{- toYaml $out -}}
{{- end -}}
{{- end -}}

{{- define "weir.container" -}}
image: {{ include "weir.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  {{- toYaml .root.Values.securityContext | nindent 2 }}
{{- end -}}

{{- define "weir.env" -}}
- name: WALLARM_NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- with concat .root.Values.extraEnvs .values.extraEnvs }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "weir.probes" -}}
{{- $live := dict "httpGet" (dict "path" "/live" "port" "health") "periodSeconds" 10 "timeoutSeconds" 5 -}}
{{- $ready := dict "httpGet" (dict "path" "/ready" "port" "health") "periodSeconds" 5 "timeoutSeconds" 5 -}}
{{- /* Two minutes: a large policy or a database migration at the first start. */ -}}
{{- $start := dict "httpGet" (dict "path" "/live" "port" "health") "periodSeconds" 1 "timeoutSeconds" 5 "failureThreshold" 120 -}}
{{- $first := true -}}
{{- range $key, $own := dict "startupProbe" $start "livenessProbe" $live "readinessProbe" $ready }}
{{- if not $first }}{{ "\n" }}{{ end }}
{{- $first = false -}}
{{ $key }}:
  {{- $given := get $.values $key }}
  {{- range $.legacy }}{{- $given = get . $key | default $given }}{{- end }}
  {{- /* A value with a probe handler replaces the default probe; a value with times only keeps its handler. */}}
  {{- if or $given.httpGet $given.tcpSocket $given.exec $given.grpc }}{{- $own = omit $own "httpGet" }}{{- end }}
  {{- toYaml (mergeOverwrite $own (deepCopy $given)) | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The file of the role, and the Node deployment token. */}}
{{- define "weir.mounts" -}}
- name: config
  mountPath: /etc/weir/config
  readOnly: true
- name: data
  mountPath: /var/lib/weir
- name: tmp
  mountPath: /tmp
{{- with concat .root.Values.extraVolumeMounts .values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "weir.mounts.api" -}}
- name: token
  mountPath: /etc/weir/token
  readOnly: true
{{- if and .Values.config.api.caSecret (not (include "weir.hasControlPlane" .)) }}
- name: api-ca
  mountPath: /etc/weir/api-ca
  readOnly: true
{{- end }}
{{- end -}}

{{- define "weir.volumes" -}}
- name: config
  configMap:
    name: {{ include "weir.fullname" .root }}-{{ .role }}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- with concat .root.Values.extraVolumes .values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "weir.volumes.api" -}}
{{- $token := include "weir.tokenSecret" . | fromYaml -}}
- name: token
  secret:
    secretName: {{ toYaml $token.name }}
    defaultMode: 0440
    items:
      - key: {{ toYaml $token.key }}
        path: token
{{- if and .Values.config.api.caSecret (not (include "weir.hasControlPlane" .)) }}
- name: api-ca
  secret:
    secretName: {{ toYaml .Values.config.api.caSecret }}
    defaultMode: 0444
    items:
      - key: ca.crt
        path: ca.crt
{{- end }}
{{- end -}}

{{- define "weir.ports.probes" -}}
- name: health
  containerPort: 18080
{{- if .Values.processing.metrics.enabled }}
- name: {{ toYaml .Values.processing.metrics.portName }}
  containerPort: {{ .Values.processing.metrics.port }}
{{- end }}
{{- end -}}

{{- define "weir.autoscaler" -}}
{{- $scale := .values.autoscaling -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "weir.metadata" (dict "root" .root "role" .role "name" (printf "%s-%s" (include "weir.fullname" .root) .role) "annotations" $scale.annotations) | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: {{ .kind }}
    name: {{ .name }}
  minReplicas: {{ $scale.minReplicas }}
  maxReplicas: {{ $scale.maxReplicas }}
  metrics:
    {{- with $scale.targetInFlight }}
    - type: Pods
      pods:
        metric:
          name: {{ toYaml $scale.inFlightMetric }}
        target:
          type: AverageValue
          averageValue: {{ . | quote }}
    {{- end }}
    {{- range $resource, $target := dict "cpu" $scale.targetCPUUtilizationPercentage "memory" $scale.targetMemoryUtilizationPercentage }}
    {{- with $target }}
    - type: Resource
      resource:
        name: {{ $resource }}
        target:
          type: Utilization
          averageUtilization: {{ . }}
    {{- end }}
    {{- end }}
  {{- with $scale.behavior }}
  behavior:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "weir.disruptionBudget" -}}
{{- $budget := .values.podDisruptionBudget -}}
{{- $least := ternary "" (toString $budget.minAvailable) (kindIs "invalid" $budget.minAvailable) -}}
{{- $most := ternary "" (toString $budget.maxUnavailable) (kindIs "invalid" $budget.maxUnavailable) -}}
{{- if or $least $most -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "weir.metadata" (dict "root" .root "role" .role "name" (printf "%s-%s" (include "weir.fullname" .root) .role)) | nindent 2 }}
spec:
  {{- if $least }}
  minAvailable: {{ $least }}
  {{- else }}
  maxUnavailable: {{ $most }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "weir.selector" . | nindent 6 }}
{{- end -}}
{{- end -}}
