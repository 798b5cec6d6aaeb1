import AvaloSystem

/// The worker's settings.
///
///     control_socket: control.sock   # avalod's, in the runtime directory; as control.socket says it in avalo.yaml
///     session_time: 12h              # then one has to sign in again
///     secure_cookie: false           # true behind a proxy that ends TLS: no cookie without it
///     sample_interval: 5s            # between two points of a chart
public struct ConsoleSettings: Sendable, Equatable {
  var controlSocket: String
  var sessionTime: Duration
  var secureCookie: Bool
  var sampleInterval: Duration

  public init(_ reader: inout SettingsReader) {
    controlSocket = reader.string("control_socket", default: "control.sock")
    sessionTime = reader.duration("session_time", in: ConsoleLimits.sessionTimeRange, default: .seconds(12 * 3600))
    secureCookie = reader.boolean("secure_cookie", default: false)
    sampleInterval = reader.duration(
      "sample_interval", in: ConsoleLimits.sampleIntervalRange, default: .seconds(5))
    if controlSocket.isEmpty { reader.problem("control_socket", "is empty") }
  }

  /// Where avalod is asked.
  func controlPath(in runtimeDirectory: String) -> String {
    controlSocket.hasPrefix("/") ? controlSocket : "\(runtimeDirectory)/\(controlSocket)"
  }
}
