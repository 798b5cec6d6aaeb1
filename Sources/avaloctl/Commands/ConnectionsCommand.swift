import ArgumentParser
import AvaloClient
import AvaloCore

struct ConnectionsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "connections", abstract: "Shows the open connections, of everybody or of one user.")

  @Option(help: "Whose.") var user: String?
  @Option(help: "At most so many.") var limit = 1000
  @OptionGroup var output: OutputOption
  @OptionGroup var control: ControlOption

  func validate() throws {
    if let user { try Check.id(user) }
    guard limit > 0 else { throw ValidationError("--limit must be at least 1.") }
  }

  func run() async throws {
    try await reportingErrors {
      let found = try await Pages.all("listConnections", "connections", limit: limit, control.control) {
        if let user { $0.member("userId", user) }
      }
      if output.json { return Output.line(Pages.json("connections", found).description) }
      Output.table(ConnectionsCommand.rows(found, now: WallClock.milliseconds()))
      if found.count == limit { Output.complaint("there may be more: --limit") }
    }
  }

  static func rows(_ connections: [JSONText], now: Int64) -> [[String]] {
    [["CONNECTION", "USER", "DEVICE", "PLATFORM", "SINCE", "HEARD OF", "TOPICS"]]
      + connections.map { connection in
        connection.read { view in
          func ago(_ key: StaticString) -> String {
            view.number(key).map { StatusTable.span(Double(max(0, now - $0)) / 1000) } ?? "-"
          }
          let topics = view.texts("subscriptions")
          let more = (view.number("subscriptionCount") ?? 0) - Int64(topics.count)
          return [
            view.text("connectionId"), view.text("userId"), view.text("deviceId"), view.text("platform"),
            ago("connectedAt"), ago("lastPingAt"),
            topics.joined(separator: " ") + (more > 0 ? " and \(more) more" : ""),
          ]
        }
      }
  }
}

/// Arguments that are the same everywhere.
enum Check {
  static func id(_ text: String) throws {
    guard Topic.isWellFormedID(text.utf8) else {
      throw ValidationError("\"\(text)\" is no id: 1 to 128 of A-Z, a-z, 0-9, _ . @ -")
    }
  }

  static func topic(_ text: String) throws {
    guard Topic(text) != nil else {
      throw ValidationError("\"\(text)\" is no topic; one is KIND:ID, such as user:ann.")
    }
  }
}

/// Functions that answer in pages with a cursor.
enum Pages {
  /// All elements of the answers' member `list`, at most `limit`.
  static func all(
    _ function: String, _ list: StaticString, limit: Int, _ control: Control, page: Int = 100,
    _ members: (inout JSONWriter) -> Void
  ) async throws -> [JSONText] {
    var found: [JSONText] = []
    var cursor: String?
    repeat {
      let data = JSONText { json in
        json.object {
          members(&$0)
          $0.member("limit", min(page, limit - found.count))
          if let cursor { $0.member("cursor", cursor) }
        }
      }
      let answer = try await control.call(function, data)
      cursor = answer.read { view in
        found += view.list(list).map { JSONText($0) }
        return view["nextCursor"]?.string
      }
    } while cursor != nil && found.count < limit
    return found
  }

  static func json(_ list: StaticString, _ elements: [JSONText]) -> JSONText {
    JSONText { json in
      json.object {
        $0.key(list)
        $0.array { for element in elements { $0.raw(element.bytes) } }
      }
    }
  }
}
