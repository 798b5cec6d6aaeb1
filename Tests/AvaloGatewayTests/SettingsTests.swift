import AvaloSystem
import Testing

@testable import AvaloGateway

@Suite struct SettingsTests {
  @Test func hasDefaultsForAllButTheKeys() throws {
    let settings = try gatewaySettings(#"{"auth":{"secret_file":"s"}}"#, folder: "/etc/avalo")
    #expect(settings.auth.secretFile == "/etc/avalo/s")
    #expect(
      settings.auth.userClaim == "sub" && settings.auth.chatsClaim == "chats" && settings.auth.leeway == .seconds(30))
    #expect(settings.auth.lifetimeMax == .seconds(30 * 86_400))
    #expect(settings.pingInterval == .seconds(25) && settings.grace == .seconds(10))
    #expect(settings.cors.origins == [] && settings.tls == nil && settings.publicURL == nil && settings.topics.isEmpty)
    #expect(settings.limits.httpBodyBytesMax == 256 << 10 && settings.limits.publishesPerSecond == nil)
    #expect(settings.connections.topics == 100)
  }

  @Test func readsEverySetting() throws {
    let settings = try gatewaySettings(
      #"""
      {"auth": {"secret_file": "s", "keys": [{"file": "/k.pem", "algorithm": "PS256", "kid": "1"}], "jwks_file": "j",
                "issuer": "i", "audience": "a", "user_claim": "uid", "chats_claim": "rooms", "leeway": "1s",
                "lifetime_max": "7d"},
       "api_keys_file": "keys.json", "cors": {"origins": ["https://a.example", "loopback"]},
       "public_url": "wss://rt.example.com/base/", "tls": {"certificate": "c", "key": "k"},
       "ping_interval": "10s", "grace": "5s", "outbox": {"bytes_max": "64KiB", "stall_max": "5s"}, "trace": {"keep": 0},
       "connections": {"max": 10, "per_user": 2, "per_address": 3, "connect_time": "4s", "topics": 5},
       "topics": {"feed": {"subscribe": "any"}, "chat": {"publish": "members"}},
       "limits": {"http_body_max": 8192, "http_read_time": "1s", "http_idle_time": "2s", "publishes_in_flight": 7,
                  "publishes_per_second": 9}}
      """#, folder: "/f")
    #expect(
      settings.auth.keys == [AuthenticationSettings.Key(file: "/k.pem", algorithm: .ps256, keyID: "1")])
    #expect(settings.auth.audiences == ["a"] && settings.auth.issuer == "i" && settings.apiKeysFile == "/f/keys.json")
    #expect(settings.publicURL == "wss://rt.example.com/base")
    #expect(settings.tls == TLSSettings(certificate: "/f/c", key: "/f/k"))
    #expect(settings.topics["feed"] == TopicRule(subscribe: .any))
    #expect(settings.topics["chat"] == TopicRule(subscribe: .members, publish: .members))
    #expect(settings.auth.lifetimeMax == .seconds(7 * 86_400))
    #expect(settings.outbox.bytesMax == 64 << 10 && settings.traceBytesMax == 0 && settings.connections.perUser == 2)
    #expect(settings.limits.publishesInFlight == 7 && settings.limits.publishesPerSecond == 9)
  }

  @Test func aConnectionsTopicsFitIntoOneMessage() throws {
    let node = try SettingsNode(json: Array(#"{"connections":{"topics":4097}}"#.utf8))
    let problems = GatewaySettings.read(node, folder: nil).problems.map { "\($0)" }
    #expect(problems.contains { $0.hasPrefix("connections.topics: ") }, "\(problems)")
  }

  @Test func tellsEverythingThatIsWrongAtOnce() throws {
    let node = try SettingsNode(
      json: Array(
        #"""
        {"auth": {"keys": [{"file": "k", "algorithm": "none"}], "audience": [1], "leway": "1s"},
         "cors": {"origins": ["example.com"]}, "public_url": "https://x", "ping_interval": 25,
         "topics": {"Feed": {"subscribe": "all"}, "user": {"subscribe": "any"}, "feed": {"subscribe": "members"}}, "limits": {"publishes_per_second": 0}}
        """#.utf8))
    #expect(
      GatewaySettings.read(node, folder: nil).problems.map { "\($0.line ?? 0) \($0)" } == [
        #"1 auth.keys[0].algorithm: expected one of RS256, ES256, EdDSA and their kin, not "none""#,
        "1 auth.audience: expected a text or a list of texts, not a list",
        #"1 auth.leway: unknown key; did you mean "leeway"?"#,
        #"2 cors.origins: expected origins such as "https://app.example.com", or loopback, or *, not a list"#,
        #"2 public_url: expected a URL such as "wss://rt.example.com", not "https://x""#,
        #"2 ping_interval: expected a duration of 1s to 10m, such as "250ms", "10s", "5m" or "2h", not 25"#,
        #"3 topics.Feed.subscribe: expected one of own, claim, members, any, none, not "all""#,
        "3 topics.Feed: a topic kind is a word of lower-case letters, digits and _, at most 32",
        "3 topics.user.subscribe: inboxes are their user's own: expected own or none",
        "3 topics.feed.subscribe: only chats have members: expected own, claim, any or none",
        "3 limits.publishes_per_second: expected an integer of 1 to 10000000, not 0",
      ])
    let (_, missing) = GatewaySettings.read(.emptySection, folder: nil)
    #expect(
      missing.map(\.description) == [
        "auth: needs at least one of secret_file, keys, jwks_file, jwks_url and firebase: without a key no user can connect"
      ])
  }
}
