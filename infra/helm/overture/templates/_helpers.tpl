{{/* The image of every process. */}}
{{- define "overture.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "overture.labels" -}}
app.kubernetes.io/name: overture
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* Selector of one component: call with (dict "root" $ "component" NAME). */}}
{{- define "overture.selector" -}}
app.kubernetes.io/name: overture
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Environment of one process: call with (dict "root" $ "user" KAFKA-USER). */}}
{{- define "overture.env" -}}
{{- $v := .root.Values -}}
- {name: OVERTURE_DATA_DIR, value: /data}
- {name: OVERTURE_MODELS__FOLDER, value: /opt/overture/models}
- {name: OVERTURE_KAFKA__BOOTSTRAP, value: {{ $v.kafka.bootstrap | quote }}}
- {name: OVERTURE_KAFKA__REPLICATION, value: {{ $v.kafka.replication | quote }}}
- {name: OVERTURE_KAFKA__MIN_INSYNC, value: {{ $v.kafka.minInsync | quote }}}
- {name: OVERTURE_KAFKA__SECURITY_PROTOCOL, value: {{ $v.kafka.securityProtocol | quote }}}
{{- if hasPrefix "SASL" $v.kafka.securityProtocol }}
- {name: OVERTURE_KAFKA__SASL_MECHANISM, value: {{ $v.kafka.saslMechanism | quote }}}
- {name: OVERTURE_KAFKA__USERNAME, value: {{ .user | quote }}}
- name: OVERTURE_KAFKA__PASSWORD
  valueFrom: {secretKeyRef: {name: {{ $v.kafka.passwords | quote }}, key: {{ .user | quote }}}}
{{- end }}
{{- if and $v.kafka.ca (hasSuffix "SSL" $v.kafka.securityProtocol) }}
- {name: OVERTURE_KAFKA__CA_FILE, value: /etc/overture/kafka/ca.crt}
{{- end }}
- {name: OVERTURE_REGISTRY__URL, value: {{ $v.registry.url | quote }}}
- name: OVERTURE_REDIS__URL
  valueFrom: {secretKeyRef: {name: {{ $v.stores | quote }}, key: redis-url}}
- {name: OVERTURE_REDIS__CLUSTER, value: {{ $v.redis.cluster | quote }}}
- {name: OVERTURE_MILVUS__URI, value: {{ $v.milvus.uri | quote }}}
- name: OVERTURE_MILVUS__TOKEN
  valueFrom: {secretKeyRef: {name: {{ $v.stores | quote }}, key: milvus-token}}
- {name: OVERTURE_OBJECTS__URL, value: {{ $v.objects.url | quote }}}
- name: OVERTURE_FEAST__REGISTRY
  valueFrom: {secretKeyRef: {name: {{ $v.stores | quote }}, key: feast-registry}}
- {name: OVERTURE_FEAST__PROJECT, value: {{ $v.feast.project | quote }}}
- {name: OVERTURE_WORKER__LOG_FORMAT, value: json}
- {name: OVERTURE_WORKER__METRICS_HOST, value: "0.0.0.0"}
{{- range $name, $value := $v.settings }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}

{{/* A process without rights, on a read-only file system; the decode sandbox adds Landlock and resource limits. */}}
{{- define "overture.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "overture.pod" -}}
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "overture.mounts" -}}
- {name: data, mountPath: /data}
- {name: tmp, mountPath: /tmp}
{{- if and .Values.kafka.ca (hasSuffix "SSL" .Values.kafka.securityProtocol) }}
- {name: kafka-ca, mountPath: /etc/overture/kafka, readOnly: true}
{{- end }}
{{- end }}

{{- define "overture.volumes" -}}
- {name: data, emptyDir: {}}
- {name: tmp, emptyDir: {}}
{{- if and .Values.kafka.ca (hasSuffix "SSL" .Values.kafka.securityProtocol) }}
- {name: kafka-ca, secret: {secretName: {{ .Values.kafka.ca | quote }}}}
{{- end }}
{{- end }}
