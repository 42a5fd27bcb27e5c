/** OpenTelemetry and Prometheus. */
export { openTelemetry, prometheus } from '../tracing/instruments.js'
