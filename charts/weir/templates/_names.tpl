{{/* Names and labels. */}}

{{- define "weir.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | regexFind "^.*[A-Za-z0-9]" -}}
{{- end -}}

{{/* Prefix of everything that is derived from the release. */}}
{{- define "weir.fullname" -}}
{{- $name := include "weir.name" . -}}
{{- $full := .Release.Name -}}
{{- if .Values.fullnameOverride -}}
{{- $full = .Values.fullnameOverride -}}
{{- else if not (contains $name .Release.Name) -}}
{{- $full = printf "%s-%s" .Release.Name $name -}}
{{- end -}}
{{- /* A Service's name has no dots and begins with a letter; a release's name need not. */ -}}
{{- $full = regexReplaceAll "[._]" (lower $full) "-" -}}
{{- if regexMatch "^[0-9]" $full -}}{{- $full = printf "r-%s" $full -}}{{- end -}}
{{- $full | trunc 36 | regexFind "^.*[a-z0-9]" -}}
{{- end -}}

{{/* Prefix of the Services and pods whose names connectors know. */}}
{{- define "weir.prefix" -}}
{{- .Values.servicePrefix | default (.Values.fullnameOverride | trunc 36 | trimSuffix "-") | default "next" -}}
{{- end -}}

{{- define "weir.processing" -}}{{ include "weir.prefix" . }}-processing{{- end -}}
{{- define "weir.aggregation" -}}{{ include "weir.prefix" . }}-aggregation{{- end -}}
{{- define "weir.controlPlane" -}}{{ include "weir.fullname" . }}-control-plane{{- end -}}
{{- define "weir.credentials" -}}{{ include "weir.fullname" . }}-credentials{{- end -}}

{{/* The host name of a Service of this release. Takes a dict of root and name. */}}
{{- define "weir.host" -}}
{{- printf "%s.%s.svc.%s" .name .root.Release.Namespace .root.Values.clusterDomain -}}
{{- end -}}

{{- define "weir.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "weir.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "weir.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{- end -}}
{{- end -}}
{{- end -}}

{{/* The selector of a role's workload where one of that kind and name is there already, made by an earlier revision of this
release: of this chart, or of the one that it replaces. A selector cannot be changed, so it is kept, and an upgrade of the
same release goes through. Takes a dict of root and role. */}}
{{- define "weir.keptSelector" -}}
{{- $kind := get (dict "processing" "Deployment" "aggregation" .root.Values.aggregation.kind "control-plane" (include "weir.controlPlaneKind" .root)) .role -}}
{{- if $kind -}}
{{- $name := get (dict "processing" "weir.processing" "aggregation" "weir.aggregation" "control-plane" "weir.controlPlane") .role -}}
{{- $there := lookup "apps/v1" $kind .root.Release.Namespace (include $name .root) -}}
{{- if and $there (eq .root.Release.Name (dig "metadata" "annotations" "meta.helm.sh/release-name" "" $there)) -}}
{{- toYaml (dig "spec" "selector" "matchLabels" dict $there) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Labels that select the pods of a role. Takes a dict of root and role. */}}
{{- define "weir.selector" -}}
{{- $labels := dict "app.kubernetes.io/name" (include "weir.name" .root) "app.kubernetes.io/instance" .root.Release.Name "app.kubernetes.io/component" .role -}}
{{- toYaml (mergeOverwrite $labels (include "weir.keptSelector" . | fromYaml)) -}}
{{- end -}}

{{/* What a workload selects by: what it did, or all of the above. */}}
{{- define "weir.matchLabels" -}}
{{- include "weir.keptSelector" . | default (include "weir.selector" .) -}}
{{- end -}}

{{/* Labels of an object. Takes a dict of root and, where the object belongs to one, role. */}}
{{- define "weir.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ regexReplaceAll "[^A-Za-z0-9._-]" (.root.Values.image.tag | default .root.Chart.AppVersion) "_" | trunc 63 | regexFind "^.*[A-Za-z0-9]" | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: weir
{{- if .role }}
{{ include "weir.selector" . }}
{{- else }}
app.kubernetes.io/name: {{ include "weir.name" .root | toYaml }}
app.kubernetes.io/instance: {{ toYaml .root.Release.Name }}
{{- end }}
{{- end -}}

{{/* Metadata. Takes root, name, and where given role, labels, annotations, namespace. */}}
{{- define "weir.metadata" -}}
name: {{ toYaml .name }}
namespace: {{ .namespace | default .root.Release.Namespace | toYaml }}
labels:
  {{- $labels := include "weir.labels" . | fromYaml }}
  {{- toYaml (mergeOverwrite (deepCopy (.labels | default dict)) $labels) | nindent 2 }}
{{- with .annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
