// AvaloMetrics
