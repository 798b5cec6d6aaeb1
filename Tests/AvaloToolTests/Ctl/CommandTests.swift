import ArgumentParser
import AvaloClient
import AvaloCore
import Testing

@testable import avaloctl

@Suite struct CommandTests {
  @Test func publishSendsWhatItWasGiven() throws {
    let command = try PublishCommand.parse([
      "--topic", "chat:c1", "--type", "notification", "--payload", #"{"a":1}"#, "--ttl", "1h", "--priority", "high",
      "--event-id", "e1", "--deliver-at", "+30s", "--source", "bob",
    ])
    #expect(
      try command.data(now: 1_000).description == #"""
        {"type":"notification","topic":"chat:c1","sourceUserId":"bob","eventId":"e1","payload":{"a":1},\#
        "timestamp":1000,"priority":"high","ttl":3600,"deliverAt":31000}
        """#)
  }

  @Test(arguments: [
    ["--payload", "{}"], ["--user", "u", "--topic", "chat:c", "--payload", "{}"], ["--user", "u"],
  ])
  func publishRefusesWhatIsNotClear(arguments: [String]) {
    #expect(throws: (any Error).self) { try PublishCommand.parse(arguments) }
  }

  @Test(arguments: [
    (["--payload", "[1]"], "object"), (["--payload", "{"], "not JSON"),
    (["--payload", "{}", "--ttl", "1y"], "--ttl 1y"),
    (["--payload", "{}", "--deliver-at", "soon"], "--deliver-at soon"),
  ])
  func aWrongValueIsNamed(arguments: [String], part: String) throws {
    let command = try PublishCommand.parse(["--user", "u"] + arguments)
    let error = #expect(throws: ToolError.self) { try command.data() }
    #expect(error?.code == 64 && error?.description.contains(part) == true)
  }

  @Test func spansOfTime() {
    #expect(TimeSpan.seconds("90") == 90 && TimeSpan.seconds("90s") == 90 && TimeSpan.seconds("2m") == 120)
    #expect(TimeSpan.seconds("1h") == 3_600 && TimeSpan.seconds("7d") == 604_800)
    for wrong in ["", "0", "-1s", "1y", "s", "99999999999999999999", "999999999999999999d"] {
      #expect(TimeSpan.seconds(wrong) == nil)
    }
  }

  @Test func theServersAnswerBecomesASentence() throws {
    func sentence(_ json: String) throws -> String { PublishCommand.sentence(try JSONText(validating: json)) }
    #expect(
      try sentence(#"{"eventId":"e","topic":"user:u","offset":17,"durability":"os","duplicate":false}"#)
        == "published e to user:u as offset 17 (durability os)")
    #expect(
      try sentence(#"{"eventId":"e","topic":"user:u","offset":17,"durability":"os","duplicate":true}"#)
        == "had published e to user:u as offset 17 (durability os)")
    #expect(
      try sentence(#"{"eventId":"e","topic":"user:u","scheduled":true}"#) == "holding e for user:u until it is due")
  }

  @Test func theStatusBecomesATable() throws {
    let status = try JSONText(
      validating: #"""
        {"version":"0.1.0","pid":10,"state":"running","ready":true,"status":"2 workers","uptime":130.5,
        "workers":[{"name":"gateway","instances":[
        {"slot":0,"state":"ready","pid":11,"uptime":129.0,"restarts":0,"status":"10 connections","restartIn":null},
        {"slot":1,"state":"waiting","pid":null,"uptime":null,"restarts":3,"status":null,"restartIn":2.0}]}]}
        """#)
    #expect(StatusTable.headline(status) == "avalod 0.1.0, pid 10, up 2 min, ready: 2 workers")
    #expect(
      StatusTable.rows(status).dropFirst() == [
        ["gateway", "0", "ready", "11", "2 min", "0", "10 connections"],
        ["gateway", "1", "waiting", "-", "-", "3", "again in 2 s"],
      ])
  }

  @Test func aServerThatIsNotThereSaysHowToStartIt() async throws {
    let error = await #expect(throws: ToolError.self) {
      try await Control(socket: "/nonexistent/control.sock").status()
    }
    #expect(error?.code == 69 && error?.description.contains("make run") == true)
    #expect(ToolError(ClientError.unreachable("cannot connect to 127.0.0.1:1")).code == 69)
    #expect(ToolError(ClientError.refused(CallError(.notFound, "no"))).code == 1)
  }

  @Test func tokensAreForWellFormedIdsOnly() throws {
    let error = #expect(throws: ToolError.self) {
      try TokenCommand.sign(user: "a b", chats: [], lifetime: 1, with: ConfigOption.parse([]).keys)
    }
    #expect(error?.code == 64)
  }
}
