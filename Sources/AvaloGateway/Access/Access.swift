import AvaloCore
import AvaloSystem
import Synchronization

/// Everything that decides who may do what, read from the settings and the files they name. Never changes, but for the
/// revocations, which it shares with the one before and after it.
public final class Access: Sendable {
  /// What it was read from.
  public let settings: GatewaySettings
  public let authenticator: Authenticator
  public let apiKeys: APIKeys
  public let rules: AccessRules
  public let tickets: Tickets
  public let cors: CORSPolicy
  public let proxies: TrustedProxies
  public var flags: FeatureFlags { settings.flags }
  public let revocations: Revocations
  let membership: MembershipWebhook?
  /// `nil` where there is nothing to see.
  let demo: DemoFiles?

  init(
    settings: GatewaySettings, authenticator: Authenticator, apiKeys: APIKeys, tickets: Tickets,
    revocations: Revocations, membership: MembershipWebhook? = nil, demo: DemoFiles? = nil
  ) {
    self.demo = demo
    self.membership = membership
    self.settings = settings
    self.authenticator = authenticator
    self.apiKeys = apiKeys
    self.tickets = tickets
    self.revocations = revocations
    rules = AccessRules(kinds: settings.topics)
    cors = CORSPolicy(settings.cors)
    proxies = TrustedProxies(settings.proxies.trusted)
  }

  /// Reads all keys; `nil` when anything is wrong, and then `problems` says what.
  /// - `stateDirectory`: where the tickets' key is; made there when it is missing. `nil` (a mere check of the settings)
  ///   leaves it alone and signs with one of its own.
  /// - `revocations`: those of the process.
  /// - `remotes`: starts fetching what the settings name, once nothing is wrong.
  /// - `membership`: who asks the webhook that the settings name.
  static func load(
    _ settings: GatewaySettings, stateDirectory: String?, revocations: Revocations,
    remotes: ([RemoteKeySettings]) -> [RemoteKeys] = { _ in [] },
    membership: (MembershipWebhookSettings, [UInt8]) -> MembershipWebhook? = { _, _ in nil }
  ) async -> (access: Access?, problems: [SettingsProblem]) {
    var problems: [SettingsProblem] = []
    let keys = await VerificationKeys.load(settings.auth, problems: &problems)
    let apiKeys = APIKeys.load(settings.apiKeysFile, problems: &problems)
    let demo = DemoFiles.load(settings.demoFolder, problems: &problems)
    var secret: [UInt8] = []
    if let webhook = settings.membershipWebhook {
      do throws(KeyMaterial.Refusal) {
        secret = try KeyMaterial.secret(in: webhook.secretFile)
      } catch {
        problems.append(SettingsProblem(path: "membership_webhook.secret_file", message: error.message))
      }
    }
    var random = SystemRandomNumberGenerator()
    var ticketKey = (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &random) }
    if let stateDirectory {
      do throws(KeyMaterial.Refusal) {
        ticketKey = try TicketKey.load(directory: stateDirectory, using: &random)
      } catch {
        problems.append(SettingsProblem(path: "", message: error.message))
      }
    }
    guard problems.isEmpty else { return (nil, problems) }
    let access = Access(
      settings: settings,
      authenticator: Authenticator(keys: keys, remotes: remotes(settings.auth.remotes), settings: settings.auth),
      apiKeys: apiKeys, tickets: Tickets(key: ticketKey), revocations: revocations,
      membership: settings.membershipWebhook.flatMap { membership($0, secret) }, demo: demo)
    return (access, [])
  }

  /// Who the value of an `Authorization` header speaks for. Present and not good is an error, always.
  /// - `now`: milliseconds since 1970.
  public func caller(authorization: String?, now: Int64) throws(CallError) -> Caller {
    guard var value = authorization else { return .anonymous }
    let result = value.withUTF8 { bytes -> Result<Caller, CallError> in
      do throws(CallError) {
        return .success(try caller(UnsafeRawBufferPointer(bytes), now: now))
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  /// The server that an `Authorization` header speaks for; `nil` when it speaks for somebody else, or nobody.
  func server(authorization: String?) throws(CallError) -> APIKey? {
    guard let value = authorization, value.contains(APIKeys.prefix),
      case .server(let key) = try caller(authorization: value, now: 0)
    else { return nil }
    return key
  }

  private func caller(_ value: UnsafeRawBufferPointer, now: Int64) throws(CallError) -> Caller {
    let scheme = "bearer "
    guard value.count > scheme.utf8.count, zip(value, scheme.utf8).allSatisfy({ $0 | 0x20 == $1 }) else {
      throw CallError(.unauthenticated, "the Authorization header must be \"Bearer\" and a token or an API key")
    }
    var credential = UnsafeRawBufferPointer(rebasing: value[scheme.utf8.count...])
    while credential.first == 0x20 { credential = UnsafeRawBufferPointer(rebasing: credential.dropFirst()) }
    if credential.starts(with: APIKeys.prefix.utf8) { return .server(try apiKeys.authenticate(credential)) }
    let identity: Identity
    do throws(TokenError) {
      identity = try authenticator.authenticate(credential, now: now)
    } catch {
      throw error.callError
    }
    try revocations.check(identity.token)
    return .user(identity)
  }
}

/// The access in force, for all loops: a reload replaces it between two calls.
public final class SharedAccess: Sendable {
  private let access: Mutex<Access>

  public init(_ access: Access) { self.access = Mutex(access) }
  public var current: Access { access.withLock { $0 } }
  public func replace(with new: Access) { access.withLock { $0 = new } }
}
