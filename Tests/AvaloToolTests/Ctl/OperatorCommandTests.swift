import ArgumentParser
import AvaloClient
import AvaloCore
import Testing

@testable import avaloctl

/// What operators' commands take, and what they make of answers.
@Suite struct OperatorCommandTests {
  private static let commands: [any AsyncParsableCommand.Type] = [
    StatusCommand.self, TopCommand.self, ListWorkersCommand.self, DrainCommand.self, ScaleCommand.self,
    ConnectionsCommand.self, PresenceCommand.self,
    ReadCommand.self, TailCommand.self, PublishCommand.self, DisconnectCommand.self, ListFlags.self, SetFlag.self,
    UnsetFlag.self, ListKeys.self, NewKey.self, RevokeKey.self, RevokeTokens.self, ReloadCommand.self,
    RestartCommand.self, LogLevelCommand.self, BackupCommand.self, RestoreCommand.self, ListenCommand.self,
    TokenCommand.self,
  ]

  @Test func everyCommandThatAnswersSpeaksJSON() {
    for command in Self.commands {
      #expect(command.helpMessage().contains("--json"), "\(command)")
    }
  }

  @Test(arguments: [
    ["presence"], ["presence", "ann", "--online"], ["connections", "--user", "a b"], ["connections", "--limit", "0"],
    ["read", "ann"], ["read", "user:ann", "--from", "3", "--last", "2"], ["tail", "user:"], ["disconnect", "a b"],
    ["flags", "set", "realtime_presence", "101"], ["flags", "set", "realtime_presence"], ["tokens", "revoke"],
    ["tokens", "revoke", "--user", "ann", "--everybody"], ["tokens", "revoke", "--id", "x", "--issued-before", "-1h"],
    ["top", "--json"], ["top", "--interval", "0"], ["backup"], ["restore"], ["workers", "scale", "gateway", "0"],
    ["workers", "drain", "a/b"],
  ])
  func whatIsNotClearIsRefused(arguments: [String]) {
    let error = #expect(throws: (any Error).self) { try Avaloctl.parseAsRoot(arguments) }
    if let error { #expect(Avaloctl.exitCode(for: error).rawValue == 64) }
  }

  @Test(arguments: [
    ["loglevel"], ["workers", "--json"], ["workers", "scale", "gateway", "4"], ["log-level", "debug"], ["flags"],
    ["keys"], ["flags", "set", "f", "12.5%"],
  ])
  func theseAreUnderstood(arguments: [String]) throws { _ = try Avaloctl.parseAsRoot(arguments) }

  @Test(arguments: [
    (["--user", "ann"], #"{"userId":"ann"}"#), (["--id", "j1"], #"{"tokenId":"j1"}"#),
    (["--user", "ann", "--issued-before=-1h"], #"{"userId":"ann","issuedBefore":6400000}"#),
    (["--everybody"], #"{"issuedBefore":10000000}"#),
    (["--everybody", "--issued-before", "7"], #"{"issuedBefore":7}"#),
  ])
  func revokingSaysWhoseTokens(arguments: [String], data: String) throws {
    #expect(try RevokeTokens.parse(arguments).data(now: 10_000_000).description == data)
  }

  @Test func parametersAreEscaped() {
    #expect(Control.target("/x", [:]) == "/x")
    #expect(Control.target("/x", ["a": "user:ann@b", "b": "\u{e4} &\n"]) == "/x?a=user%3Aann%40b&b=%C3%A4%20%26%0A")
  }

  @Test func aRefusalIsSaidAsItWasSaid() {
    func sentence(_ body: String) -> String {
      Control.sentence(HTTPReply(status: 404, headers: [], body: Array(body.utf8)))
    }
    #expect(sentence("there is no worker\n") == "there is no worker")
    #expect(sentence(#"{"error":"nothing was ever published to user:x"}"#) == "nothing was ever published to user:x")
  }

  @Test func connectionsBecomeATable() throws {
    let connection = try JSONText(
      validating: #"""
        {"connectionId":"c1","userId":"ann","deviceId":"phone","platform":"ios","connectedAt":1000,"lastPingAt":99000,
        "subscriptions":["user:ann","chat:c"],"subscriptionCount":3}
        """#)
    #expect(
      ConnectionsCommand.rows([connection], now: 101_000)[1] == [
        "c1", "ann", "phone", "ios", "100 s", "2 s", "user:ann chat:c and 1 more",
      ])
  }

  @Test func presenceBecomesATable() throws {
    let answer = try JSONText(
      validating: #"""
        {"presence":{"ann":{"status":"online","lastSeenAt":1000,"platform":"web","customStatus":"busy \"now\""},
        "bob":{"status":"offline","lastSeenAt":0,"platform":null}}}
        """#)
    let rows = PresenceCommand.rows(answer.read { PresenceCommand.entries($0) }, now: 11_000)
    #expect(rows[1] == ["ann", "online", "10 s ago", "web", "busy \"now\""])
    #expect(rows[2] == ["bob", "offline", "never", "-", ""])
  }

  @Test func anEventBecomesALine() throws {
    let event = try JSONText(
      validating: #"""
        {"offset":17,"eventId":"e1","type":"chat_message","priority":"high","sourceUserId":"bob","acceptedAt":0,
        "payload":{"text": "hi"}}
        """#)
    let line = TopicLog.line(event)
    #expect(line.hasPrefix("#17  "))
    #expect(line.hasSuffix(#"  chat_message  e1  from bob  high  {"text": "hi"}"#))
  }

  @Test func flagsBecomeATable() throws {
    let document = try JSONText(
      validating: #"{"flags":[{"name":"realtime_engine_v2","rollout":12.5,"allow":["ann","bob"],"deny":[]}]}"#)
    #expect(ListFlags.rows(document)[1] == ["realtime_engine_v2", "12.5 %", "ann bob", ""])
  }

  private static let status = #"""
    {"version":"1","pid":1,"ready":true,"uptime":10,"status":"","workers":[{"name":"gateway","required":true,
    "sockets":{"client":["127.0.0.1:8480"]},
    "instances":[{"slot":0,"state":"ready","pid":11,"uptime":9.5,"restarts":2,"status":"fine"}]}]}
    """#

  private static func page(events: Int, cpu: Double) -> String {
    """
    # TYPE avalo_events_published_total counter
    avalo_events_published_total{worker="gateway",slot="0",type="a"} \(events)
    avalo_events_published_total{worker="gateway",slot="0",type="b"} 10
    avalo_worker_resident_memory_bytes{worker="gateway",slot="0"} 12582912
    avalo_worker_cpu_seconds_total{worker="gateway",slot="0"} \(cpu)

    """
  }

  @Test func workersAreShownWithWhatTheyUse() throws {
    let document = try JSONText(validating: Self.status)
    let figures = WorkerFigures(Self.page(events: 5, cpu: 3.5))
    #expect(figures.sum("avalo_events_published_total") == 15 && figures.sum("nothing") == nil)
    #expect(
      WorkersCommand.rows(document, figures)[1] == [
        "gateway.0", "ready", "11", "9 s", "2", "12.0 MiB", "3 s", "127.0.0.1:8480",
      ])
    let json = WorkersCommand.json(document, figures)
    #expect(
      json.read { $0.list("workers").first.map { [$0.text("instance"), $0.digits("memoryBytes")] } }
        == ["gateway.0", "12582912"])
  }

  @Test func topShowsRatesBetweenTwoLooks() throws {
    let status = try JSONText(validating: Self.status)
    let start = ContinuousClock.now
    let before = TopScreen.Look(status: status, figures: WorkerFigures(Self.page(events: 5, cpu: 3.5)), at: start)
    let now = TopScreen.Look(
      status: status, figures: WorkerFigures(Self.page(events: 105, cpu: 4.5)), at: start + .seconds(2))
    let lines = TopScreen.lines(now, before: before)
    #expect(lines.contains("published/s               50.0"))
    #expect(lines.last?.contains("gateway.0  ready  11   9 s     50.0   12.0 MiB  2         fine") == true)
    #expect(TopScreen.lines(now, before: nil).contains("published/s               -"))
    // What there is room for, and nothing that steers the terminal.
    #expect(Terminal.cropped(["one", "tw\u{1B}[2Jo\u{9B}", "three"], 4, 2) == ["one", "tw[2"])
    #expect(Terminal.cropped(lines, 200, 100) == lines)
  }

  @Test func quantitiesAreReadable() {
    #expect([0, 1023, 1024, 1_572_864, 5e9].map(Quantity.bytes) == ["0 B", "1023 B", "1.0 KiB", "1.5 MiB", "4.7 GiB"])
    #expect(Quantity.tenths(99.96) == "100.0" && Quantity.tenths(123.4) == "123")
  }
}
