import AvaloSystem

/// The worker's settings.
///
///     file: presence.sqlite      # in the state directory
///     ping_interval: 25s         # as the gateways'
///     grace: 10s
///     linger_clean: 10s          # online for so long after a goodbye
///     linger_drop: 20s           # … and after a connection that was lost
///     away_after: 0s             # away without doing anything for so long; 0: never by itself
///     sweep_interval: 5min       # between two looks for stale connections
public struct PresenceSettings: Sendable, Equatable {
  var file = "presence.sqlite"
  /// Ping interval and grace: silence beyond it is an end.
  var silenceMilliseconds: Int64 = 35_000
  var lingerCleanMilliseconds: Int64 = 10_000
  var lingerDropMilliseconds: Int64 = 20_000
  /// 0: nobody is away by doing nothing.
  var awayAfterMilliseconds: Int64 = 0
  var sweepMilliseconds: Int64 = 300_000
  var lingerMillisecondsMax: Int64 { max(lingerCleanMilliseconds, lingerDropMilliseconds) }
  /// Gateways report who was heard of about once a minute; a connection they have not named for this long is none.
  var staleMilliseconds: Int64 { max(sweepMilliseconds, 3 * 60_000) }

  func path(in stateDirectory: String) -> String { file.hasPrefix("/") ? file : "\(stateDirectory)/\(file)" }

  init() {}

  init(_ reader: inout SettingsReader) {
    file = reader.stateFile("file", default: file)
    let interval = reader.duration("ping_interval", in: .seconds(1)...(.seconds(600)), default: .seconds(25))
    let grace = reader.duration("grace", in: .seconds(1)...(.seconds(600)), default: .seconds(10))
    silenceMilliseconds = (interval + grace).milliseconds
    lingerCleanMilliseconds =
      reader.duration("linger_clean", in: .zero...(.seconds(600)), default: .seconds(10)).milliseconds
    lingerDropMilliseconds =
      reader.duration("linger_drop", in: .zero...(.seconds(600)), default: .seconds(20)).milliseconds
    awayAfterMilliseconds =
      reader.duration("away_after", in: .zero...(.seconds(86_400)), default: .zero).milliseconds
    sweepMilliseconds =
      reader.duration("sweep_interval", in: .seconds(1)...(.seconds(86_400)), default: .seconds(300)).milliseconds
  }
}
