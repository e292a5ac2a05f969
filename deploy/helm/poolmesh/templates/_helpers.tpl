{{/*
What all names begin with. A Service's name has no dot and begins with a letter, a release's may do otherwise. With
"-worker-" and the longest key of a pool a name has 63 characters: KEDA and pods' hostnames take no more.
*/}}
{{- define "poolmesh.name" -}}
{{- $release := .Release.Name | replace "." "-" }}
{{- $name := ternary $release (printf "%s-%s" $release .Chart.Name) (contains .Chart.Name $release) }}
{{- if regexMatch "^[0-9]" $name }}{{ $name = printf "%s-%s" .Chart.Name $release }}{{ end }}
{{- $name | trunc 33 | trimSuffix "-" }}
{{- end }}

{{/* Labels by which pods are selected. Of [context, component]. */}}
{{- define "poolmesh.selector" -}}
app.kubernetes.io/name: poolmesh
app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "poolmesh.labels" -}}
{{ include "poolmesh.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version }}
{{- end }}

{{/* What the programs themselves demand beyond loopback. */}}
{{- define "poolmesh.requireSafe" -}}
{{- if not .Values.insecure }}
{{- if not .Values.tls.secret }}{{ fail "tls.secret: name a Secret with tls.crt and tls.key, or set insecure: true (docs/security.md)" }}{{ end }}
{{- if not .Values.policy.secret }}{{ fail "policy.secret: name a Secret with policy.json, or set insecure: true (docs/security.md)" }}{{ end }}
{{- end }}
{{- end }}

{{/* The names by which the pods of a Service are reached. Of [context, component]. */}}
{{- define "poolmesh.hosts" -}}
{{- $context := index . 0 }}
{{- $service := printf "%s-%s" (include "poolmesh.name" $context) (index . 1) }}
{{- $namespace := $context.Release.Namespace }}
{{- $own := list $service (printf "%s.%s" $service $namespace) (printf "%s.%s.svc" $service $namespace) (printf "%s.%s.svc.cluster.local" $service $namespace) }}
{{- join "," (concat $own $context.Values.allowedHosts) }}
{{- end }}

{{- define "poolmesh.podSecurity" -}}
automountServiceAccountToken: false
# Service links are variables that begin as those of the programs do, which refuse what they do not know.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "poolmesh.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end }}

{{/* How a part reaches NATS. Of [context, name of the Secret with its credential]. */}}
{{- define "poolmesh.natsEnv" -}}
{{- $values := (index . 0).Values -}}
- name: NATS_URL
  value: {{ $values.nats.servers | quote }}
- name: POOLMESH_PREFIX
  value: {{ $values.prefix | quote }}
- name: POOLMESH_ID
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
- name: XDG_STATE_HOME
  value: /tmp/state
{{- if index . 1 }}
- name: POOLMESH_CREDS_FILE
  value: /etc/poolmesh/nats-creds/user.creds
{{- end }}
{{- if $values.nats.tlsSecret }}
- name: POOLMESH_NATS_TLS_CA_FILE
  value: /etc/poolmesh/nats-tls/ca.crt
{{- if $values.nats.tlsClientCertificate }}
- name: POOLMESH_NATS_TLS_CERT_FILE
  value: /etc/poolmesh/nats-tls/tls.crt
- name: POOLMESH_NATS_TLS_KEY_FILE
  value: /etc/poolmesh/nats-tls/tls.key
{{- end }}
{{- end }}
{{- end }}

{{- define "poolmesh.natsMounts" -}}
- { name: tmp, mountPath: /tmp }
{{- if index . 1 }}
- { name: nats-creds, mountPath: /etc/poolmesh/nats-creds, readOnly: true }
{{- end }}
{{- if (index . 0).Values.nats.tlsSecret }}
- { name: nats-tls, mountPath: /etc/poolmesh/nats-tls, readOnly: true }
{{- end }}
{{- end }}

{{- define "poolmesh.natsVolumes" -}}
- name: tmp
  emptyDir: {}
{{- if index . 1 }}
- name: nats-creds
  secret: { secretName: {{ index . 1 | quote }}, defaultMode: 0440 }
{{- end }}
{{- if (index . 0).Values.nats.tlsSecret }}
- name: nats-tls
  secret: { secretName: {{ (index . 0).Values.nats.tlsSecret | quote }}, defaultMode: 0440 }
{{- end }}
{{- end }}

{{- define "poolmesh.scheme" -}}
{{ ternary "https" "http" (ne .Values.tls.secret "") }}
{{- end }}

{{/* The chart's own environment, and more. Two of one name are an error of server-side apply, and the drain may not fit. */}}
{{/* Of a dict: own (a list as text), more (name: value), where (the value that more comes from). */}}
{{- define "poolmesh.env" -}}
{{- $where := .where }}
{{- $names := list }}
{{- range fromYamlArray .own }}{{ $names = append $names .name }}{{ end }}
{{- .own }}
{{- range $name, $value := .more }}
{{- if has $name $names }}{{ fail (printf "%s.%s: the chart sets this variable itself, from other values" $where $name) }}{{ end }}
- name: {{ $name | quote }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* Of [context, name, labels' component]. */}}
{{- define "poolmesh.disruptionBudget" -}}
{{- $context := index . 0 }}
{{- $named := list $context (index . 2) -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ index . 1 }}
  labels: {{- include "poolmesh.labels" $named | nindent 4 }}
spec:
  maxUnavailable: {{ $context.Values.disruption.maxUnavailable }}
  {{- if semverCompare ">=1.27.0-0" $context.Capabilities.KubeVersion.Version }}
  # A pod that is not ready does no work: it must not hold up the drain of its node.
  unhealthyPodEvictionPolicy: AlwaysAllow
  {{- end }}
  selector:
    matchLabels: {{- include "poolmesh.selector" $named | nindent 6 }}
{{- end }}
