import AvaloSystem
import Testing

@testable import AvaloConsole
@testable import AvaloGateway
@testable import AvaloPresence
@testable import AvaloScheduler
@testable import AvaloSupervisor
@testable import AvaloWebhook

/// `docs/settings.md` shows every default as it is.
@Suite struct SettingsDocumentTests {
  /// The YAML below a heading of the page.
  private func section(_ worker: String) throws -> SettingsNode {
    let page = try House.read("docs/settings.md")
    let start = try #require(page.range(of: "\n## \(worker)\n")).upperBound
    let block = try #require(page[start...].firstMatch(of: /```yaml\n((?s:.*?))```/)).1
    return try SettingsNode(yaml: String(block))
  }

  private func read<Value>(_ node: SettingsNode, _ body: (inout SettingsReader) -> Value) -> (Value, [String]) {
    let (value, problems) = SettingsReader.read(node, folder: "/etc/avalo", body)
    return (value, problems.map(\.description).filter { !$0.hasPrefix("auth: needs at least one of") })
  }

  @Test func ofTheGateway() throws {
    let (shown, problems) = read(try section("gateway")) { GatewaySettings(&$0) }
    #expect(problems == [])
    var plain = read(.emptySection) { GatewaySettings(&$0) }.0
    // What is built in is shown as if it was set.
    for (kind, rule) in shown.topics { #expect(rule == TopicRule.builtIn(kind)) }
    plain.topics = shown.topics
    #expect(shown == plain)
  }

  @Test func ofTheScheduler() throws {
    let (shown, problems) = read(try section("scheduler")) { SchedulerSettings.read(&$0) }
    #expect(problems == [])
    #expect(shown == read(.emptySection) { SchedulerSettings.read(&$0) }.0)
  }

  @Test func ofPresence() throws {
    let (shown, problems) = read(try section("presence")) { PresenceSettings(&$0) }
    #expect(problems == [])
    #expect(shown == read(.emptySection) { PresenceSettings(&$0) }.0)
  }

  /// A reload names the settings that wait for a start: the manifests list them, the page says which.
  @Test func saysWhichSettingsOnlyAStartReads() throws {
    func listed(_ worker: String) throws -> Set<String> {
      let manifest = try SettingsNode(yaml: House.read("config/workers.d/\(worker).yaml"))
      guard case .list(let items) = manifest["settings_at_start"]?.value else { return [] }
      return Set(items.compactMap { if case .string(let key) = $0.value { key } else { nil } })
    }
    let page = try House.read("docs/settings.md")
    let sentence = try #require(page.firstMatch(of: /A reload applies everything but (?s:.*?)which take/)).0
    #expect(try listed("gateway") == Set(sentence.matches(of: /`([\w.]+)`/).map { String($0.1) }))
    guard case .section(let entries) = try section("scheduler").value else { throw CancellationError() }
    #expect(try listed("scheduler") == Set(entries.map(\.key)))
  }

  /// Two of its settings have no defaults.
  @Test func ofTheWebhook() throws {
    let (shown, problems) = read(try section("webhook")) { WebhookSettings(&$0) }
    #expect(problems == [])
    let needed = try SettingsNode(yaml: "url: https://api.example.com/avalo/events\nsecret_file: keys/webhook.secret")
    #expect(shown == read(needed) { WebhookSettings(&$0) }.0)
  }

  @Test func ofTheConsole() throws {
    let (shown, problems) = read(try section("console")) { ConsoleSettings(&$0) }
    #expect(problems == [])
    #expect(shown == read(.emptySection) { ConsoleSettings(&$0) }.0)
  }

  /// Each key that a worker asks for is on its page.
  @Test(arguments: [
    ("gateway", "Sources/AvaloGateway"), ("scheduler", "Sources/AvaloScheduler"), ("presence", "Sources/AvaloPresence"),
    ("webhook", "Sources/AvaloWebhook"), ("console", "Sources/AvaloConsole"),
  ])
  func namesEveryKey(worker: String, folder: String) throws {
    let page = try House.read("docs/settings.md")
    let start = try #require(page.range(of: "\n## \(worker)\n")).upperBound
    let section = page[start...].prefix(upTo: page[start...].range(of: "\n## ")?.lowerBound ?? page.endIndex)
    let asked =
      /(?:reader|section|key|\$0)\.(?:string|optionalString|optionalPath|path|choice|integer|number|boolean|bytes|duration|section|optionalSection|table|value|list|url|users|strings)\(\s*"(\w+)"/
    var count = 0
    for file in House.files(folder, ".swift") where file.contains("Settings") || file.contains("Flags") {
      for match in try House.read(file).matches(of: asked) {
        count += 1
        #expect(section.contains(match.1), "\(file): \(match.1) is not in docs/settings.md")
      }
    }
    #expect(count > 3)
  }
}
