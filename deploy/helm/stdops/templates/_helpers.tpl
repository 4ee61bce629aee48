{{- define "stdops.name" -}}
{{- default .Release.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "stdops.selector" -}}
app.kubernetes.io/name: stdops
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "stdops.labels" -}}
{{ include "stdops.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "stdops.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "stdops.name" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "stdops.secret" -}}
{{- default (include "stdops.name" .) .Values.secret.existing -}}
{{- end -}}

{{- define "stdops.image" -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}

{{- define "stdops.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "stdops.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- /* the variables of every container */ -}}
{{- define "stdops.env" -}}
- name: TEMPORAL_ADDRESS
  value: {{ .Values.temporal.address | quote }}
- name: TEMPORAL_NAMESPACE
  value: {{ .Values.temporal.namespace | quote }}
- name: STDOPS_CALLBACK_URL
  value: {{ .Values.receiver.callbackUrl | quote }}
- name: STDOPS_SECRET_KEYS
  valueFrom: {secretKeyRef: {name: {{ include "stdops.secret" . }}, key: STDOPS_SECRET_KEYS}}
- name: STDOPS_STORE_URL
  valueFrom: {secretKeyRef: {name: {{ include "stdops.secret" . }}, key: STDOPS_STORE_URL}}
- name: STDOPS_CODEC_KEYS
  valueFrom: {secretKeyRef: {name: {{ include "stdops.secret" . }}, key: STDOPS_CODEC_KEYS, optional: true}}
{{- range $name, $value := .Values.settings }}
- name: STDOPS_{{ upper $name }}
  value: {{ toString $value | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}
