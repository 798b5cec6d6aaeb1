import AvaloSystem
import AvaloWeb

/// A JWK set that is fetched by its URL, again and again, and what its keys are good for.
///
///     auth:
///       jwks_url: https://id.example.com/.well-known/jwks.json
///       firebase: {project: my-app}
///       jwks_refresh: 10m      # how often each is fetched anew
///       jwks_stale_max: 24h    # how long its keys are used while it cannot be
public struct RemoteKeySettings: Sendable, Equatable {
  /// Which setting it comes from: a label of metrics and a part of a file's name.
  public enum Source: String, CaseIterable, Sendable {
    case jwksURL = "jwks_url"
    case firebase
  }
  public var source: Source
  public var url: String
  public var refresh: Duration
  public var staleMax: Duration
  /// What its tokens must claim; `nil`: what the settings of `auth` say of all tokens.
  var claims: ClaimRules?
  /// `nil`: whatever the key's type allows.
  var algorithms: [TokenAlgorithm]?

  /// Google's keys of Firebase Authentication.
  static let firebaseURL =
    "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com"

  /// Those that a section `auth` names.
  static func read(_ reader: inout SettingsReader) -> [RemoteKeySettings] {
    let refresh = reader.duration(
      "jwks_refresh", in: .seconds(1)...(.seconds(86_400)), default: GatewayLimits.keyRefreshDefault)
    let stale = reader.duration(
      "jwks_stale_max", in: .seconds(1)...(.seconds(30 * 86_400)), default: GatewayLimits.keyStaleDefault)
    var all: [RemoteKeySettings] = []
    if reader.has("jwks_url") {
      let url = reader.url("jwks_url")
      all.append(RemoteKeySettings(source: .jwksURL, url: url, refresh: refresh, staleMax: stale))
    } else {
      _ = reader.node("jwks_url")
    }
    // ID tokens of Firebase Authentication: https://firebase.google.com/docs/auth/admin/verify-id-tokens
    let firebase = reader.optionalSection("firebase") { section in
      let project = section.string("project")
      return RemoteKeySettings(
        source: .firebase, url: section.url("jwks_url", default: firebaseURL), refresh: refresh, staleMax: stale,
        claims: ClaimRules(
          issuer: "https://securetoken.google.com/\(project)", audiences: [project], authenticatedBefore: true),
        algorithms: [.rs256])
    }
    if let firebase { all.append(firebase) }
    return all
  }
}

/// What a token must claim besides its time and its user.
struct ClaimRules: Sendable, Equatable {
  /// `iss` must be this.
  var issuer: String?
  /// `aud` must name one of these; empty: it is not looked at.
  var audiences: [String] = []
  /// `auth_time` must be there and past (OpenID Connect Core §2).
  var authenticatedBefore = false
}
