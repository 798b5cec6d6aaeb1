import AvaloCore
import AvaloSystem
import AvaloWire
import NIOCore
import NIOPosix
import Testing

@testable import AvaloGateway

/// What operators ask of a gateway: the functions for servers, without a key.
@Suite struct ControlRoutesTests {
  /// The routes over played workers, on a loop of NIO's.
  private struct Fixture {
    let routes = HTTPRoutes()
    private let folder: TemporaryFolder

    init(_ settings: String = "") async throws {
      folder = try TemporaryFolder()
      let access = SharedAccess(try await makeAccess(settings, folder: folder))
      let loop = MultiThreadedEventLoopGroup.singleton.next()
      let http = try await loop.submit {
        let calls = CallContext(services: FakeServices(), access: access, admission: Admission())
        return NIOLoopBound(HTTPService(calls: calls, health: Health()), eventLoop: loop)
      }.get()
      ControlRoutes(access: access, http: http, eventLoop: loop).add(to: routes)
    }

    func ask(_ method: String, _ path: String, _ body: String = "") async -> (status: Int, body: String) {
      let answer = await routes.answer(HTTPRequest(method: method, path: path, body: Array(body.utf8)))
      return (answer.status, String(decoding: answer.body, as: UTF8.self))
    }
  }

  @Test func callsAFunctionAsTheOperator() async throws {
    let fixture = try await Fixture()
    let answer = await fixture.ask(
      "POST", "/call/publishRealtimeEvent", #"{"targetUserId":"ann","type":"notification","eventId":"e","payload":{}}"#)
    #expect(answer.status == 200)
    #expect(answer.body.hasPrefix(#"{"result":{"success":true,"eventId":"e""#))
  }

  @Test func aRefusalHasItsCodeAndItsSentence() async throws {
    let fixture = try await Fixture()
    let wrong = await fixture.ask("POST", "/call/publishRealtimeEvent", "{")
    #expect(wrong.status == 400 && wrong.body.contains(#"{"error":{"status":"INVALID_ARGUMENT""#))
    let empty = await fixture.ask("POST", "/call/disconnectUser")
    #expect(empty.status == 400)
    let unknown = await fixture.ask("POST", "/call/publishRealtimeEvents", "{}")
    #expect(unknown.status == 404 && unknown.body.contains(#"did you mean \"publishRealtimeEvent\"?"#))
    #expect(await fixture.ask("GET", "/call/publishRealtimeEvent").status == 405)
    // What only users may, an operator may not either.
    #expect(await fixture.ask("POST", "/call/updatePresenceV1", #"{"status":"online"}"#).status == 403)
  }

  @Test func showsFlagsAndKeysButNoHash() async throws {
    let fixture = try await Fixture(
      #""flags":{"realtime_engine_v2":{"rollout":12.5,"allow":["bob","ann"]}}"#)
    #expect(
      await fixture.ask("GET", "/flags").body
        == #"{"flags":[{"name":"realtime_engine_v2","rollout":12.5,"allow":["ann","bob"],"deny":[]},"#
        + #"{"name":"realtime_presence","rollout":100,"allow":[],"deny":[]}]}"#)
    #expect(await fixture.ask("GET", "/api-keys").body == #"{"keys":[]}"#)
  }
}
