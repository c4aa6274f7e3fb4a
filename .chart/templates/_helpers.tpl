{{- define "angelowl.name" -}}{{ required "service is needed: -f values/SERVICE.yaml" .Values.service }}{{- end }}

{{- /* Whether the release is a program's. */}}
{{- define "angelowl.program" -}}{{ if not (has .Values.service (list "certificates" "monitoring" "secrets")) }}true{{ end }}{{- end }}

{{- define "angelowl.labels" -}}
{{ include "angelowl.selector" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: angelowl
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.image.tag }}
app.kubernetes.io/version: {{ . | trunc 63 | quote }}
{{- end }}
{{- with .Values.environment }}
angelowl/environment: {{ . }}
{{- end }}
{{- end }}

{{- define "angelowl.selector" -}}
app.kubernetes.io/name: {{ include "angelowl.name" . }}
{{- end }}

{{- /* The pods that serve, and not those of jobs. */}}
{{- define "angelowl.servers" -}}
{{ include "angelowl.selector" . }}
app.kubernetes.io/component: server
{{- end }}

{{- define "angelowl.image" -}}
{{- $registry := required "image.registry is needed" .Values.image.registry -}}
{{- $image := printf "%s/%s" $registry (.Values.image.repository | default (printf "angelowl/%s" .Values.service)) -}}
{{- if .Values.image.digest -}}{{ $image }}@{{ .Values.image.digest }}
{{- else -}}{{ $image }}:{{ required "image.tag or image.digest is needed" .Values.image.tag }}
{{- end -}}
{{- end }}

{{- /* The certificates that are mounted, as NAME: {configMap or secret}, of the sections in the second of the list. */}}
{{- define "angelowl.certificates" -}}
{{- $root := index . 0 }}
{{- if and $root.Values.tls.enabled (has "own" (index . 1)) }}
own-certificate: {{ dict "secret" (include "angelowl.tlsSecret" $root) | toJson }}
{{- end }}
{{- range $name := index . 1 }}
{{- if has $name $root.Values.uses }}
{{- $section := ternary $root.Values.mail.smtp (get $root.Values $name) (eq $name "mail") }}
{{- with $section.ca }}
{{ $name }}-ca: {{ toJson . }}
{{- end }}
{{- with $section.certificate }}
{{ $name }}-certificate: {{ toJson . }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- define "angelowl.connections" -}}own postgres etcd kafka cassandra mail{{- end }}
{{- define "angelowl.databases" -}}postgres cassandra{{- end }}

{{- define "angelowl.postgres" -}}
{{- $p := .Values.postgres }}
{{- $hosts := list }}
{{- range splitList "," (required "postgres.host is needed" $p.host) }}
{{- $hosts = append $hosts (printf "%s:%d" (trim .) (int $p.port)) }}
{{- end }}
{{- $query := printf "sslmode=%s" $p.sslmode }}
{{- if $p.ca }}{{ $query = printf "%s&sslrootcert=/etc/certificates/postgres-ca/ca.crt" $query }}{{ end }}
{{- if gt (len $hosts) 1 }}{{ $query = printf "%s&target_session_attrs=read-write" $query }}{{ end }}
{{- printf "postgres://%s/%s?%s" (join "," $hosts) ($p.database | default .Values.service) $query }}
{{- end }}

{{- /* TLS of the program's own ports. */}}
{{- define "angelowl.scheme" -}}{{ ternary "https" "http" .Values.tls.enabled }}{{- end }}
{{- define "angelowl.tlsSecret" -}}{{ .Values.tls.secret | default (printf "%s-tls" .Values.service) }}{{- end }}

{{- define "angelowl.profilerEndpoint" -}}
{{ .Values.profiler.endpoint | default (printf "%s://profiler:8080" (include "angelowl.scheme" .)) }}
{{- end }}
{{- define "angelowl.profilerInternalEndpoint" -}}
{{ .Values.profiler.internalEndpoint | default (printf "%s://profiler-internal:8081" (include "angelowl.scheme" .)) }}
{{- end }}

{{- /* The settings of the program's own database; a migration needs no others. */}}
{{- define "angelowl.database" -}}
{{- $v := .Values }}
{{- if has "postgres" $v.uses }}
DB_CONN_STRING: {{ include "angelowl.postgres" . | quote }}
DB_USER: {{ $v.postgres.user | default $v.service | quote }}
DB_MAX_CONNS: {{ int $v.postgres.maxConnections | quote }}
DB_STATEMENT_TIMEOUT: {{ $v.postgres.statementTimeout | quote }}
{{- end }}
{{- if has "cassandra" $v.uses }}
{{- with $v.cassandra }}
DB_CONN_STRING: {{ join "," .nodes | required "cassandra.nodes is needed" | quote }}
DB_PORT: {{ int .port | quote }}
DB_USER: {{ .user | default $v.service | quote }}
DB_SSL: {{ .tls | quote }}
{{- if .ca }}
DB_CA_FILE: /etc/certificates/cassandra-ca/ca.crt
{{- end }}
DB_KEYSPACE: {{ .keyspace | quote }}
DB_TABLE: {{ .table | quote }}
{{- with .localDC }}
DB_LOCAL_DC: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* All settings that are no secrets: NAME: value. */}}
{{- define "angelowl.settings" -}}
{{- $v := .Values }}
PORT: {{ int $v.ports.public | quote }}
{{- if $v.ports.internal }}
INTERNAL_PORT: {{ int $v.ports.internal | quote }}
{{- end }}
{{- if $v.tls.enabled }}
TLS_CERT_FILE: /etc/certificates/own-certificate/tls.crt
TLS_KEY_FILE: /etc/certificates/own-certificate/tls.key
{{- end }}
{{- if has "currency" $v.uses }}
HOME_CURRENCY: {{ $v.bank.homeCurrency | quote }}
{{- end }}
{{- if has "timezone" $v.uses }}
BANK_TIMEZONE: {{ $v.bank.timezone | quote }}
{{- end }}
{{- if has "portal" $v.uses }}
PORTAL_ORIGIN: {{ required "portal.origin is needed" $v.portal.origin | quote }}
{{- end }}
{{- if has "api" $v.uses }}
API_ORIGIN: {{ required "api.origin is needed" $v.api.origin | quote }}
UPLOAD_ORIGIN: {{ required "portal.uploadOrigin is needed" $v.portal.uploadOrigin | quote }}
{{- end }}
{{- if or (has "tokens" $v.uses) (has "keys" $v.uses) }}
JWT_ISSUER: {{ $v.tokens.issuer | quote }}
JWT_AUDIENCE: {{ $v.tokens.audience | quote }}
{{- end }}
{{- if has "tokens" $v.uses }}
JWKS_URL: {{ printf "%s/.well-known/jwks.json" (include "angelowl.profilerEndpoint" .) | quote }}
{{- end }}
{{- if has "profiler" $v.uses }}
PROFILER_ENDPOINT: {{ include "angelowl.profilerEndpoint" . | quote }}
PROFILER_INTERNAL_ENDPOINT: {{ include "angelowl.profilerInternalEndpoint" . | quote }}
{{- if $v.tls.enabled }}
PROFILER_CA_FILE: /etc/certificates/own-certificate/ca.crt
{{- end }}
{{- end }}
{{- if has "keys" $v.uses }}
JWT_KMS_KEY_ID: {{ join "," $v.keys.kms | required "keys.kms is needed: pods share no file of keys" | quote }}
AWS_REGION: {{ required "aws.region is needed" $v.aws.region | quote }}
{{- end }}
{{- if has "mail" $v.uses }}
{{- with $v.mail }}
MAIL_FROM: {{ required "mail.from is needed" .from | quote }}
{{- if .ses.region }}
SES_REGION: {{ .ses.region | quote }}
{{- with .ses.configurationSet }}
SES_CONFIGURATION_SET: {{ . | quote }}
{{- end }}
{{- else }}
SMTP_HOST: {{ required "mail.ses.region or mail.smtp.host is needed" .smtp.host | quote }}
SMTP_PORT: {{ int .smtp.port | quote }}
SMTP_TLS: {{ .smtp.tls | quote }}
{{- with .smtp.username }}
SMTP_USERNAME: {{ . | quote }}
{{- end }}
{{- if .smtp.ca }}
SMTP_CA_FILE: /etc/certificates/mail-ca/ca.crt
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- include "angelowl.database" . }}
{{- if has "etcd" $v.uses }}
{{- with $v.etcd }}
ETCD_ENDPOINTS: {{ join "," .endpoints | required "etcd.endpoints is needed" | quote }}
ETCD_USERNAME: {{ .username | default $v.service | quote }}
{{- if .ca }}
ETCD_CA_FILE: /etc/certificates/etcd-ca/ca.crt
{{- end }}
{{- if .certificate }}
ETCD_CERT_FILE: /etc/certificates/etcd-certificate/tls.crt
ETCD_KEY_FILE: /etc/certificates/etcd-certificate/tls.key
{{- end }}
{{- end }}
{{- end }}
{{- if has "kafka" $v.uses }}
{{- with $v.kafka }}
BROKER_HOST: {{ join "," .brokers | required "kafka.brokers is needed" | quote }}
BROKER_TLS: {{ .tls | quote }}
{{- if .sasl }}
BROKER_SASL: {{ .sasl | quote }}
BROKER_USERNAME: {{ .username | default $v.service | quote }}
{{- end }}
{{- if .ca }}
BROKER_CA_FILE: /etc/certificates/kafka-ca/ca.crt
{{- end }}
{{- if .certificate }}
BROKER_CERT_FILE: /etc/certificates/kafka-certificate/tls.crt
BROKER_KEY_FILE: /etc/certificates/kafka-certificate/tls.key
{{- end }}
TOPIC: {{ .topic | quote }}
CONSUMER_GROUP: {{ .group | quote }}
{{- end }}
{{- end }}
{{- if $v.migrations.enabled }}
DB_MIGRATE: "false"
{{- end }}
{{- if eq $v.shutdown.by "program" }}
SHUTDOWN_DELAY: {{ printf "%ds" (int $v.shutdown.delay) | quote }}
{{- end }}
{{- if ne $v.service "ui" }}
SHUTDOWN_TIMEOUT: {{ printf "%ds" (int $v.shutdown.timeout) | quote }}
{{- end }}
{{- if and $v.tracing.endpoint (ne $v.service "ui") }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ $v.tracing.endpoint | quote }}
OTEL_TRACES_SAMPLER_ARG: {{ $v.tracing.sampled | quote }}
{{- end }}
{{- range $name, $value := $v.settings }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end }}

{{- /* References to secrets; the second of the list is the map of them. */}}
{{- define "angelowl.secrets" -}}
{{- $root := index . 0 }}
{{- range $variable, $ref := index . 1 }}
- name: {{ $variable }}
  valueFrom:
    secretKeyRef:
      name: {{ $ref.name | default $root.Values.service }}
      key: {{ $ref.key | default $variable }}
{{- if $ref.optional }}
      optional: true
{{- end }}
{{- end }}
{{- end }}

{{- define "angelowl.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "angelowl.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "angelowl.mounts" -}}
{{- range $name, $from := include "angelowl.certificates" . | fromYaml }}
- name: {{ $name }}
  mountPath: /etc/certificates/{{ $name }}
  readOnly: true
{{- end }}
{{- end }}

{{- define "angelowl.volumes" -}}
{{- range $name, $from := include "angelowl.certificates" . | fromYaml }}
- name: {{ $name }}
{{- if $from.secret }}
  secret: {secretName: {{ $from.secret }}, defaultMode: 0440}
{{- else }}
  configMap: {name: {{ $from.configMap }}}
{{- end }}
{{- end }}
{{- end }}

{{- define "angelowl.probe" -}}
httpGet:
  path: {{ index . 1 }}
  port: public
  scheme: {{ include "angelowl.scheme" (index . 0) | upper }}
{{- with index . 0 }}
{{- if eq .Values.service "ui" }}
  httpHeaders: [{name: Host, value: {{ (urlParse .Values.portal.origin).host | quote }}}]
{{- end }}
{{- end }}
{{- end }}

{{- /* Ways out that everybody needs. */}}
{{- define "angelowl.dnsEgress" -}}
- to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .Values.networkPolicy.dns.namespace }}}}}]
  ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]
{{- end }}

{{- /* The way out to the program's own database. */}}
{{- define "angelowl.databaseEgress" -}}
{{- $ports := list }}
{{- if has "postgres" .Values.uses }}{{ $ports = append $ports (int .Values.postgres.port) }}{{ end }}
{{- if has "cassandra" .Values.uses }}{{ $ports = append $ports (int .Values.cassandra.port) }}{{ end }}
{{- include "angelowl.enginePorts" (list . $ports) }}
{{- end }}

{{- define "angelowl.enginePorts" -}}
{{- $root := index . 0 }}
{{- with index . 1 | uniq | sortAlpha }}
{{- if not $root.Values.networkPolicy.engines }}{{ fail "networkPolicy.engines is needed: the CIDRs where the engines are" }}{{ end }}
- to:
{{- range $root.Values.networkPolicy.engines }}
    - ipBlock: {cidr: {{ . }}}
{{- end }}
  ports:
{{- range . }}
    - {protocol: TCP, port: {{ . }}}
{{- end }}
{{- end }}
{{- end }}

{{- /* Who may come to a port: root, {services, from}, the port's name. */}}
{{- define "angelowl.ingress" -}}
{{- $places := (index . 0).Values.networkPolicy }}
{{- $who := index . 1 }}
{{- $from := list }}
{{- range $who.services }}
{{- $from = append $from (dict "podSelector" (dict "matchLabels" (dict "app.kubernetes.io/name" . "app.kubernetes.io/component" "server"))) }}
{{- end }}
{{- range $who.from }}
{{- $place := get $places . }}
{{- range $place.cidrs }}
{{- $from = append $from (dict "ipBlock" (dict "cidr" .)) }}
{{- end }}
{{- range $place.namespaces }}
{{- $from = append $from (dict "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" .))) }}
{{- end }}
{{- end }}
{{- /* A rule that names nobody would let everybody in. */}}
{{- with $from }}
- from: {{- toYaml . | nindent 4 }}
  ports: [{protocol: TCP, port: {{ index $ 2 }}}]
{{- end }}
{{- end }}
