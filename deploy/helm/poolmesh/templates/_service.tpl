{{/*
A manager or a meter: Deployment, Service and PodDisruptionBudget.
Of a dict: context, component ("manager" or "meter"), port, values, env (more environment), graceSeconds.
*/}}
{{- define "poolmesh.service" -}}
{{- $context := .context }}
{{- $values := $context.Values }}
{{- $name := printf "%s-%s" (include "poolmesh.name" $context) .component }}
{{- $creds := index $values.nats.credsSecrets .component }}
{{- $named := list $context .component }}
{{- $probe := dict "port" "http" "scheme" (include "poolmesh.scheme" $context | upper) }}
{{- include "poolmesh.requireSafe" $context }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  labels: {{- include "poolmesh.labels" $named | nindent 4 }}
spec:
  replicas: {{ .values.replicas }}
  selector:
    matchLabels: {{- include "poolmesh.selector" $named | nindent 6 }}
  strategy:
    type: RollingUpdate
    rollingUpdate: { maxUnavailable: 0, maxSurge: 1 }
  template:
    metadata:
      labels: {{- include "poolmesh.labels" $named | nindent 8 }}
    spec:
      {{- include "poolmesh.podSecurity" . | nindent 6 }}
      {{- with $values.imagePullSecrets }}
      imagePullSecrets: {{- toYaml . | nindent 8 }}
      {{- end }}
      # The wait before SIGTERM, the drain, and ten seconds to end.
      terminationGracePeriodSeconds: {{ add 15 .graceSeconds }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: {{- include "poolmesh.selector" $named | nindent 14 }}
      {{- with .values.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .values.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .component }}
          image: "{{ $values.image.repository }}:{{ $values.image.tag | default $context.Chart.AppVersion }}"
          imagePullPolicy: {{ $values.image.pullPolicy }}
          args: [{{ .component }}]
          {{- include "poolmesh.containerSecurity" . | nindent 10 }}
          env:
            {{- include "poolmesh.env" (dict "own" (include "poolmesh.serviceEnv" .) "more" .values.env "where" (printf "%s.env" .component)) | nindent 12 }}
          ports:
            - { name: http, containerPort: {{ .port }} }
          readinessProbe:
            httpGet: {{- merge (dict "path" "/readyz") $probe | toYaml | nindent 14 }}
            periodSeconds: 2
          livenessProbe:
            httpGet: {{- merge (dict "path" "/healthz") $probe | toYaml | nindent 14 }}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          lifecycle:
            # Until this pod is out of the Service's endpoints, HTTP callers still come: SIGTERM follows then.
            preStop:
              exec: { command: [sleep, "5"] }
          resources: {{- toYaml .values.resources | nindent 12 }}
          volumeMounts:
            {{- include "poolmesh.natsMounts" (list $context $creds) | nindent 12 }}
            {{- if $values.tls.secret }}
            - { name: tls, mountPath: /etc/poolmesh/tls, readOnly: true }
            {{- end }}
            {{- if $values.policy.secret }}
            - { name: policy, mountPath: /etc/poolmesh/policy, readOnly: true }
            {{- end }}
      volumes:
        {{- include "poolmesh.natsVolumes" (list $context $creds) | nindent 8 }}
        {{- if $values.tls.secret }}
        - name: tls
          secret: { secretName: {{ $values.tls.secret | quote }}, defaultMode: 0440 }
        {{- end }}
        {{- if $values.policy.secret }}
        - name: policy
          secret: { secretName: {{ $values.policy.secret | quote }}, defaultMode: 0440 }
        {{- end }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}
  labels: {{- include "poolmesh.labels" $named | nindent 4 }}
spec:
  selector: {{- include "poolmesh.selector" $named | nindent 4 }}
  ports:
    - { name: http, port: {{ .port }}, targetPort: http }
---
{{ include "poolmesh.disruptionBudget" (list $context $name .component) }}
{{- end }}

{{- define "poolmesh.serviceEnv" -}}
{{- $context := .context }}
{{- $values := $context.Values }}
{{- $creds := index $values.nats.credsSecrets .component -}}
{{ include "poolmesh.natsEnv" (list $context $creds) }}
# Its own replies: what a restricted account of NATS lets it hear.
- name: POOLMESH_INBOX_PREFIX
  value: _INBOX.{{ .component }}.$(POOLMESH_ID)
- name: POOLMESH_LISTEN
  value: "0.0.0.0:{{ .port }}"
- name: POOLMESH_ALLOWED_HOSTS
  value: {{ include "poolmesh.hosts" (list $context .component) | quote }}
{{- if $values.insecure }}
- name: POOLMESH_INSECURE
  value: "true"
{{- end }}
{{- if $values.tls.secret }}
- name: POOLMESH_TLS_CERT_FILE
  value: /etc/poolmesh/tls/tls.crt
- name: POOLMESH_TLS_KEY_FILE
  value: /etc/poolmesh/tls/tls.key
{{- if $values.tls.clientCa }}
- name: POOLMESH_TLS_CLIENT_CA_FILE
  value: /etc/poolmesh/tls/ca.crt
{{- end }}
{{- end }}
{{- if $values.policy.secret }}
- name: POOLMESH_POLICY_FILE
  value: /etc/poolmesh/policy/policy.json
{{- else if $values.controlTokenSecret }}
- name: POOLMESH_CONTROL_TOKEN
  valueFrom: { secretKeyRef: { name: {{ $values.controlTokenSecret | quote }}, key: token } }
{{- end }}
{{ .env }}
{{- end }}
