import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

/// docs/protocol/openapi.yaml and the code say the same. Answers are compared wherever a test calls a function.
@Suite struct OpenAPITests {
  /// Paths that are no functions.
  private static let others = ["/healthz", "/events", "/ws"]

  @Test func hasEveryFunctionAndNoOther() {
    let paths = Contract.openAPI["paths"]?.keys ?? []
    for name in CallTable.names {
      #expect(
        paths.contains("/\(name)"),
        """
        \(name) is not in docs/protocol/openapi.yaml. Add under `paths` an entry `/\(name): {post: {operationId, summary, \
        security, requestBody, responses}}` like its neighbours', with every field of its `data` and of its `result`; \
        its name to `Function` in asyncapi.yaml; and record its example: scripts/record-examples.
        """)
    }
    let unknown = Set(paths).subtracting(CallTable.names.map { "/\($0)" }).subtracting(Self.others)
    #expect(unknown == [], "there is no such function; remove it from docs/protocol/openapi.yaml")
    for name in CallTable.names { #expect(Contract.operation(name)?["operationId"]?.text == name) }
  }

  /// A function tells its fields when it is given one that it does not know.
  @Test func hasTheFieldsOfEveryFunction() async throws {
    let fixture = try await CallFixture()
    for name in CallTable.names {
      guard let data = Contract.data(name)?.schema else { continue }
      let caller: Caller = Self.servers(name) == nil ? .user(CallFixture.ann) : .server(CallFixture.backend)
      let carrier = CallRequest.Carrier.http(host: "h", secure: false)
      do {
        let answer = try fixture.call(name, #"{"§":1}"#, as: caller, carrier: carrier)
        Issue.record("\(name) takes an unknown field: \(answer)")
      } catch let error as CallError {
        let known = Self.fields(in: error.message)
        #expect(
          Set(data["properties"]?.keys ?? []) == known,
          "the fields of \(name) in docs/protocol/openapi.yaml are not those of the code: \(error.message)")
        #expect(data["additionalProperties"] == .boolean(false), "\(name) refuses unknown fields: say so")
      }
    }
    // Within another object.
    let refusal = fixture.refusal("broadcastToUsers", #"{"userIds":["u"],"event":{"§":1}}"#) ?? ""
    let draft = Contract.openAPI.at("components", "schemas", "Draft", "properties")?.keys ?? []
    #expect(Set(draft) == Self.fields(in: refusal).subtracting(["targetUserId", "topic", "deliverAt"]))
  }

  private static func fields(in message: String) -> Set<String> {
    // `unknown field "§"; there are: a, b, c`, or `unknown field "§"; …`
    guard let range = message.range(of: "there are: ") else { return [] }
    return Set(message[range.upperBound...].split(separator: ", ").map(String.init))
  }

  /// The scopes that servers need; `nil` when it is not for them.
  private static func servers(_ name: String) -> [String]? {
    Contract.operation(name)?["security"]?.items.compactMap { $0["apiKey"]?.texts }.first
  }

  @Test func saysWhoMayCallWhat() async throws {
    let fixture = try await CallFixture()
    func code(_ name: String, _ caller: Caller) -> (code: StatusCode?, message: String) {
      do {
        _ = try fixture.call(name, "null", as: caller)
        return (nil, "")
      } catch let error as CallError {
        return (error.code, error.message)
      } catch {
        return (nil, "\(error)")
      }
    }
    for name in CallTable.names {
      let security = Contract.operation(name)?["security"]?.items ?? []
      #expect(code(name, .anonymous).code == .unauthenticated, "\(name) is for nobody in particular")
      let forUsers = security.contains { $0["userToken"] != nil }
      #expect(
        (code(name, .user(CallFixture.ann)).code == .permissionDenied) != forUsers,
        "\(name): userToken in docs/protocol/openapi.yaml")
      let none = APIKey(id: "n", name: "None", owner: "n", scopes: [])
      let needed = Self.servers(name)
      #expect((needed != nil) == code(name, .server(none)).message.contains("scope"), "\(name): apiKey")
      for (scope, option) in APIKey.Scopes.names {
        var key = CallFixture.backend
        key.scopes.remove(option)
        #expect(
          (needed ?? []).contains(scope) == code(name, .server(key)).message.contains("scope \"\(scope)\""),
          "\(name): the scope \(scope) in docs/protocol/openapi.yaml")
      }
    }
  }

  @Test func hasEveryStatusAndWhatItTravelsOn() throws {
    let responses = try #require(Contract.openAPI.at("components", "responses"))
    let schemas = try #require(Contract.openAPI.at("components", "schemas"))
    #expect(Set(schemas.at("Status", "enum")?.texts ?? []) == Set(StatusCode.allCases.map(\.wireName)))
    var codes: [Int: [String]] = [:]
    for name in responses.keys {
      let narrowed = schemas[name]?["allOf"]?.items.last?.at("properties", "error", "properties", "status", "enum")
      for status in try #require(narrowed, "\(name) has no statuses").texts {
        let code = try #require(StatusCode.allCases.first { $0.wireName == status })
        codes[code.httpStatus, default: []].append(name)
        #expect(Set(codes[code.httpStatus]!).count == 1, "\(status) travels on \(code.httpStatus)")
      }
    }
    #expect(Set(codes.keys) == Set(StatusCode.allCases.map(\.httpStatus)).subtracting([200]))
    // And where a path names one of them, it stands at that status.
    for (path, method) in Self.operations {
      let named = Contract.openAPI.at("paths", path, method, "responses") ?? .null
      for status in named.keys {
        guard let reference = named[status]?["$ref"]?.text?.split(separator: "/").last else { continue }
        #expect(codes[Int(status) ?? 0]?.first == String(reference), "\(path): \(status)")
      }
    }
  }

  private static var operations: [(path: String, method: String)] {
    (Contract.openAPI["paths"]?.keys ?? []).map { ($0, others.contains($0) ? "get" : "post") }
  }

  @Test func hasTheWordsOfTheCode() throws {
    let schemas = try #require(Contract.openAPI.at("components", "schemas"))
    func words(_ name: String) -> [String] { schemas.at(name, "enum")?.texts ?? [] }
    let kept = EventType.allCases.filter { $0.retention == .durable }.map(\.wireName)
    let publishable = EventType.allCases.filter { $0 != .readReceipt }.map(\.wireName)
    #expect(Set(words("EventType")) == Set(EventType.allCases.map(\.wireName)))
    #expect(Set(words("PublishableType")) == Set(publishable + publishable.map { $0.uppercased() }))
    #expect(Set(words("KeptType")) == Set(kept + kept.map { $0.uppercased() }))
    #expect(Set(words("Priority")) == Set(Priority.allCases.map(\.wireName)))
    #expect(Set(words("Platform")) == Set(Platform.allCases.compactMap(\.wireName)))
    #expect(Set(words("OptionalPlatform")) == Set(words("Platform")))
    let limits = schemas.at("Limit", "properties", "name", "enum")?.texts ?? []
    #expect(Set(limits) == Set(CallLimit.allCases.map(\.wireName)))
    // Requests may have them in upper case.
    func anyCase(_ name: String) -> Set<String> { Set(words(name) + words(name).map { $0.uppercased() }) }
    #expect(Set(words("NewPlatform")) == anyCase("Platform"))
    #expect(Set(words("NewVisibility")) == anyCase("Visibility"))
    #expect(Set(words("PresenceStatus")) == Set(PresenceStatus.allCases.map(\.wireName)))
    #expect(Set(words("Visibility")) == Set(Visibility.allCases.map(\.wireName)))
    #expect(Set(words("Durability")) == Set(Durability.allCases.map(\.wireName)))
    #expect(Set(words("GapReason")) == Set(GapReason.allCases.map(\.wireName)))
  }

  @Test(arguments: [
    ("DATA broadcastToUsers/properties/userIds/maxItems", Limits.broadcastJobRecipientsMax),
    ("components/schemas/Users/maxItems", Limits.membersPerCallMax),
    ("components/schemas/Users/maxItems", GatewayLimits.usersPerCallMax),
    ("components/schemas/Draft/properties/eventId/maxLength", Limits.eventIDBytesMax),
    (
      "components/schemas/Subscriptions/maxItems",
      GatewayLimits.topicsPerConnectionDefault + GatewayLimits.presenceTopicsPerConnectionDefault
    ),
    ("components/schemas/NewLocation/properties/place/maxLength", Limits.placeBytesMax),
    ("DATA updatePresenceV1/properties/customStatus/maxLength", Limits.customStatusBytesMax),
    ("DATA updatePresenceV1/properties/activity/maxLength", Limits.activityBytesMax),
    ("DATA revokeTokens/properties/tokenId/maxLength", Limits.tokenIDBytesMax),
    ("DATA realtimePingV1/properties/subscriptions/maxItems", HubLimits.streamTopicsMax),
    ("DATA realtimePingV1/properties/holdMs/ANY/maximum", Int(GatewayLimits.pollHoldMax.milliseconds)),
    ("DATA listOnlineUsers/properties/limit/ANY/maximum", Int(OnlineUsersQuery.limitMax)),
    ("DATA listConnections/properties/limit/ANY/maximum", Int(ConnectionsQuery.limitMax)),
    ("DATA readTopic/properties/limit/ANY/maximum", Int(GatewayLimits.topicPageMax)),
    ("DATA getChatMembers/properties/limit/ANY/maximum", Limits.membersPerCallMax),
    ("components/schemas/Draft/properties/ttl/ANY/maximum", Int(Limits.ttlSecondsMax)),
  ])
  func hasTheLimitsOfTheCode(path: String, limit: Int) {
    var place: JSONValue? = Contract.openAPI
    for step in path.split(separator: "/") {
      if step.hasPrefix("DATA ") {
        place = Contract.data(String(step.dropFirst(5)))?.schema
      } else if step == "ANY" {
        place = place?["anyOf"]?.items.first
      } else {
        place = place?[String(step)]
      }
    }
    #expect(place?.integer == limit, "docs/protocol/openapi.yaml, \(path)")
  }

  @Test func itsExamplesFitItsSchemas() throws {
    for name in CallTable.names {
      guard let content = Contract.operation(name)?.at("requestBody", "content", "application/json") else { continue }
      let example = try #require(content["example"], "\(name) has no example")
      let place = JSONSchema.Place(schema: try #require(content["schema"]), document: "openapi.yaml")
      #expect(Contract.schema.problems(example, place) == [], "\(name)")
    }
  }
}
