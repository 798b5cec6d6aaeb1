import AvaloTesting
import Testing

/// The contracts in docs/protocol, as the tests hold them against the code: every answer that a ``CallFixture`` gets, what it
/// took for it, and every frame that a ``TestLoop`` sends.
enum Contract {
  static let schema: JSONSchema = {
    func read(_ name: String) -> JSONValue {
      do {
        return try JSONValue(yaml: String(contentsOfFile: "\(TestPaths.root)/docs/protocol/\(name)", encoding: .utf8))
      } catch {
        Issue.record("docs/protocol/\(name): \(error)")
        return .null
      }
    }
    return JSONSchema(documents: ["openapi.yaml": read("openapi.yaml"), "asyncapi.yaml": read("asyncapi.yaml")])
  }()
  static var openAPI: JSONValue { schema.documents["openapi.yaml"] ?? .null }
  static var asyncAPI: JSONValue { schema.documents["asyncapi.yaml"] ?? .null }

  // MARK: Functions

  static func operation(_ function: String) -> JSONValue? { openAPI.at("paths", "/\(function)", "post") }

  /// Of a call's `data`.
  static func data(_ function: String) -> JSONSchema.Place? {
    operation(function)?.at(
      "requestBody", "content", "application/json", "schema", "properties", "data"
    ).map { JSONSchema.Place(schema: $0, document: "openapi.yaml") }
  }

  /// Of an answer's `result`.
  static func result(_ function: String) -> JSONSchema.Place? {
    operation(function)?.at("responses", "200", "content", "application/json", "schema", "properties", "result")
      .map { JSONSchema.Place(schema: $0, document: "openapi.yaml") }
  }

  /// Records what was taken or answered, and is not written down so.
  static func check(_ function: String, data: String, result: String) throws {
    // A function that is not there at all has a test of its own to say so.
    guard let taken = Contract.data(function), let answered = Contract.result(function) else { return }
    let ofData = schema.problems(try JSONValue(json: data), taken)
    #expect(ofData == [], "\(function) takes what docs/protocol/openapi.yaml does not allow: \(data)")
    let ofResult = schema.problems(try JSONValue(json: result), answered)
    #expect(ofResult == [], "\(function) answers what is not in docs/protocol/openapi.yaml: \(result)")
  }

  // MARK: Frames

  static func payload(_ frame: String) -> JSONSchema.Place? {
    asyncAPI.at("components", "messages", frame, "payload").map { .init(schema: $0, document: "asyncapi.yaml") }
  }

  /// The messages that an operation of asyncapi.yaml names.
  static func frames(of operation: String) -> [String] {
    asyncAPI.at("operations", operation, "messages")?.items.compactMap { message in
      message["$ref"]?.text?.split(separator: "/").last.map(String.init)
    } ?? []
  }

  /// Records what is wrong with a frame that the server sent.
  static func check(frame text: String) {
    guard let frame = try? JSONValue(json: text) else {
      Issue.record("a frame that is no JSON: \(text)")
      return
    }
    let fitting = frames(of: "toClients").filter { name in
      payload(name).map { schema.problems(frame, $0).isEmpty } ?? false
    }
    guard fitting.isEmpty else { return }
    // Say what is wrong with the one that it was meant to be.
    let meant = frames(of: "toClients").first { frame[$0] != nil }
    let problems = meant.flatMap(payload).map { schema.problems(frame, $0) } ?? ["no frame of that key is written down"]
    Issue.record("the server sends what is not in docs/protocol/asyncapi.yaml: \(text): \(problems)")
  }
}
