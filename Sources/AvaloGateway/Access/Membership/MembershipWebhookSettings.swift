import AvaloSystem
import AvaloWeb

/// A backend that is asked whether a user may subscribe to topics that the token does not name.
///
///     membership_webhook:
///       url: https://api.example.com/avalo/membership
///       secret_file: keys/webhook.secret
///       timeout: 2s
///       cache: 60s
public struct MembershipWebhookSettings: Sendable, Equatable {
  public var url: String
  /// What requests are signed with.
  public var secretFile: String
  public var timeout: Duration
  /// How long an answer is believed.
  public var cache: Duration

  init(_ reader: inout SettingsReader) {
    url = reader.url("url")
    secretFile = reader.path("secret_file")
    timeout = reader.duration("timeout", in: .milliseconds(50)...(.seconds(8)), default: .seconds(2))
    cache = reader.duration("cache", in: .seconds(1)...(.seconds(3600)), default: .seconds(60))
  }
}
