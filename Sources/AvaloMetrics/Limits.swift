/// The bounds of the metrics.
public enum MetricsLimits {
  /// Series of one family whose label values are not declared; beyond it they are counted, not kept. Every series costs
  /// memory here and in every Prometheus that scrapes us.
  public static let openSeriesMax = 256
}
