import AvaloSystem

extension SettingsReader {
  /// A server on the web, over TLS, or on this machine.
  public mutating func url(_ key: String, default fallback: String? = nil) -> String {
    value(key, WebClient.expected, fallback, empty: "") { node in
      guard case .string(let text) = node.value, WebClient.isURL(text) else { return nil }
      return text
    }
  }
}
