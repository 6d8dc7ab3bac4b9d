{{- define "scimd.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "scimd.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 55 | trimSuffix "-" }}
{{- else if contains (include "scimd.name" .) .Release.Name }}
{{- .Release.Name | trunc 55 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "scimd.name" .) | trunc 55 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "scimd.selectorLabels" -}}
app.kubernetes.io/name: {{ include "scimd.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "scimd.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "scimd.selectorLabels" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "scimd.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "scimd.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "scimd.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end }}
{{- end }}

{{- define "scimd.publicUrl" -}}
{{- if .Values.publicUrl }}
{{- .Values.publicUrl }}
{{- else if .Values.ingress.enabled }}
{{- printf "https://%s" .Values.ingress.host }}
{{- end }}
{{- end }}

{{- /* What does not fit together, in a sentence each. */ -}}
{{- define "scimd.check" -}}
{{- if and (not .Values.database.secretName) (gt (int .Values.replicas) 1) }}
{{- fail (printf "replicas is %d, but SQLite is a file that one server writes: set database.secretName to the secret with the URL of a PostgreSQL database, or replicas to 1." (int .Values.replicas)) }}
{{- end }}
{{- if and .Values.database.secretName .Values.persistence.existingClaim }}
{{- fail "database.secretName and persistence.existingClaim are both set: PostgreSQL needs no volume, and SQLite no secret." }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) }}
{{- fail "ingress.enabled needs ingress.host, the name by which identity providers reach scimd." }}
{{- end }}
{{- if and .Values.ingress.enabled .Values.tls.secretName }}
{{- fail "ingress.enabled and tls.secretName are both set: an Ingress speaks plain HTTP to scimd unless its controller is told otherwise. Let one of the two end TLS." }}
{{- end }}
{{- /* To scimd, what comes in through a node has the node's own, private address. */ -}}
{{- if and (ne .Values.service.type "ClusterIP") (not .Values.tls.secretName) }}
{{- fail (printf "service.type %s needs tls.secretName: scimd takes no plain HTTP from the world. Or put an Ingress in front." .Values.service.type) }}
{{- end }}
{{- end }}

{{- /* The pod, the same for both kinds of database. */ -}}
{{- define "scimd.podTemplate" -}}
metadata:
  # Not the version of the chart, which alone is no reason for new pods.
  labels:
    {{- include "scimd.selectorLabels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: scimd
    {{- with .Values.schemas }}
    checksum/schemas: {{ toYaml . | sha256sum }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "scimd.serviceAccountName" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  # Longer than scimd takes at most: its delay, then its timeout once for requests and once for connections.
  terminationGracePeriodSeconds: {{ add .Values.shutdown.delay (mul 2 .Values.shutdown.timeout) 5 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: scimd
      image: {{ include "scimd.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - serve
      env:
        - name: SCIMD_LISTEN
          value: {{ printf "%s:8080" .Values.listenAddress | quote }}
        - name: SCIMD_METRICS_LISTEN
          value: {{ printf "%s:9464" .Values.listenAddress | quote }}
        - name: SCIMD_DATA_DIR
          value: /data
        # Imports and long answers are kept here for a while; the root is read-only.
        - name: TMPDIR
          value: /data
        # Huge pages, which some kernels give unasked, would double the memory.
        - name: MIMALLOC_ALLOW_THP
          value: "0"
        - name: SCIMD_LOG_FORMAT
          value: json
        - name: SCIMD_SHUTDOWN_DELAY
          value: {{ printf "%ds" (int .Values.shutdown.delay) | quote }}
        - name: SCIMD_SHUTDOWN_TIMEOUT
          value: {{ printf "%ds" (int .Values.shutdown.timeout) | quote }}
        {{- with include "scimd.publicUrl" . }}
        - name: SCIMD_PUBLIC_URL
          value: {{ . | quote }}
        {{- end }}
        {{- if .Values.database.secretName }}
        - name: SCIMD_DATABASE_URL_FILE
          value: /etc/scimd/database/url
        {{- end }}
        {{- if .Values.tls.secretName }}
        - name: SCIMD_TLS_CERTIFICATE
          value: /etc/scimd/tls/tls.crt
        - name: SCIMD_TLS_KEY
          value: /etc/scimd/tls/tls.key
        {{- else }}
        - name: SCIMD_TRUSTED_PROXIES
          value: {{ .Values.trustedProxies | quote }}
        {{- end }}
        {{- if .Values.schemas }}
        - name: SCIMD_SCHEMAS
          value: /etc/scimd/schemas
        {{- end }}
        {{- with .Values.traces.endpoint }}
        - name: SCIMD_OTLP_ENDPOINT
          value: {{ . | quote }}
        {{- end }}
        {{- range $name, $value := .Values.settings }}
        - name: SCIMD_{{ $name | upper | replace "-" "_" }}
          value: {{ $value | toString | quote }}
        {{- end }}
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - name: scim
          containerPort: 8080
        - name: metrics
          containerPort: 9464
      # A start may migrate a large database first.
      startupProbe:
        httpGet:
          path: /readyz
          port: metrics
        periodSeconds: 2
        timeoutSeconds: 3
        failureThreshold: 450
      readinessProbe:
        httpGet:
          path: /readyz
          port: metrics
        periodSeconds: 5
        timeoutSeconds: 3
        failureThreshold: 2
      # The process alone: a restart mends no database.
      livenessProbe:
        httpGet:
          path: /healthz
          port: metrics
        periodSeconds: 10
        timeoutSeconds: 3
        failureThreshold: 6
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        privileged: false
        capabilities:
          drop:
            - ALL
      volumeMounts:
        - name: data
          mountPath: /data
        {{- if .Values.database.secretName }}
        - name: database
          mountPath: /etc/scimd/database
          readOnly: true
        {{- end }}
        {{- if .Values.tls.secretName }}
        - name: tls
          mountPath: /etc/scimd/tls
          readOnly: true
        {{- end }}
        {{- if .Values.schemas }}
        - name: schemas
          mountPath: /etc/scimd/schemas
          readOnly: true
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: data
      {{- if .Values.database.secretName }}
      emptyDir: {}
      {{- else }}
      persistentVolumeClaim:
        claimName: {{ .Values.persistence.existingClaim | default (include "scimd.fullname" .) }}
      {{- end }}
    {{- if .Values.database.secretName }}
    - name: database
      secret:
        secretName: {{ .Values.database.secretName }}
        defaultMode: 0440
        items:
          - key: {{ .Values.database.key }}
            path: url
    {{- end }}
    {{- if .Values.tls.secretName }}
    - name: tls
      secret:
        secretName: {{ .Values.tls.secretName }}
        defaultMode: 0440
    {{- end }}
    {{- if .Values.schemas }}
    - name: schemas
      configMap:
        name: {{ include "scimd.fullname" . }}-schemas
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- define "scimd.spread" -}}
maxSkew: 1
whenUnsatisfiable: ScheduleAnyway
labelSelector:
  matchLabels:
    {{- include "scimd.selectorLabels" . | nindent 4 }}
# Each update spreads for itself: those that go do not count.
matchLabelKeys:
  - pod-template-hash
{{- end }}
