/// Where tokens come from.
public enum TokenSource: Sendable {
  /// One that stays what it is.
  case fixed(String)
  /// Asked before every attempt; `true` when the last token was refused or ends soon, so that another one is needed.
  /// Answering `nil` means that nobody is signed in. It may take a minute; then its task is cancelled, and the attempt
  /// counts as failed.
  case provider(@Sendable (_ forceRefresh: Bool) async throws -> String?)

  /// Whether asking again may bring another one.
  var isRefreshable: Bool {
    if case .provider = self { true } else { false }
  }

  /// Of functions nobody can tell.
  func isSure(toBe other: TokenSource) -> Bool {
    if case .fixed(let token) = self, case .fixed(token) = other { true } else { false }
  }

  func get(forceRefresh: Bool) async throws -> String? {
    switch self {
    case .fixed(let token): token
    case .provider(let provide): try await provide(forceRefresh)
    }
  }
}
