import AvaloCore
import AvaloTesting
import AvaloWire
import NIOCore
import NIOEmbedded
import Testing

@testable import AvaloGateway

@Suite struct HTTPConnectionTests {
  // MARK: One call

  @Test func answersACall() async throws {
    let fixture = try await HTTPFixture()
    try fixture.send(fixture.publish("e1"))
    let (text, writes) = try fixture.received()
    #expect(writes == 1)
    #expect(
      text
        == """
        HTTP/1.1 200 OK\r
        Date: Tue, 14 Nov 2023 22:13:20 GMT\r
        Vary: Origin\r
        Content-Type: application/json\r
        Content-Length: 145\r
        \r
        {"result":{"success":true,"eventId":"e1","topic":"user:u","epoch":"0000000142d1c0aa","offset":17,"durability":"os","duplicate":false}}
        """.replacing("145", with: "134"))
    #expect(fixture.channel.isActive)
  }

  @Test func takesFirebasesPathsAndAbsoluteOnes() async throws {
    let fixture = try await HTTPFixture()
    for path in [
      "/publishRealtimeEvent", "/demo/us-central1/publishRealtimeEvent", "/publishRealtimeEvent?x=1",
      "http://h:80/publishRealtimeEvent",
    ] {
      let request = fixture.publish("e").replacing("POST /publishRealtimeEvent", with: "POST \(path)")
      #expect(try fixture.exchange(request).map(\.status) == [200], "\(path)")
    }
    for path in [
      "/", "//publishRealtimeEvent", "/a/publishRealtimeEvent", "/a/b/c/publishRealtimeEvent", "/publishRealtimeEvent/",
      "/publishrealtimeevent", "/publishRealtimeEvent%20", "/a//publishRealtimeEvent", "/metrics",
    ] {
      let request = fixture.publish("e").replacing("POST /publishRealtimeEvent", with: "POST \(path)")
      let answers = try fixture.exchange(request)
      #expect(answers.map(\.status) == [404] && answers[0].error?.hasPrefix("NOT_FOUND: ") == true, "\(path)")
    }
  }

  @Test func takesBodiesInAnyPiecesAndChunks() async throws {
    let fixture = try await HTTPFixture()
    for byte in fixture.publish("e1").utf8 { try fixture.channel.writeInbound(ByteBuffer(bytes: [byte])) }
    #expect(Answers(try fixture.received().text).map(\.status) == [200])
    let body = #"{"data":{"type":"notification","targetUserId":"u","payload":{"t":"é"}}}"#
    let chunked =
      body.map { "\(String(String($0).utf8.count, radix: 16));ext=1\r\n\($0)\r\n" }.joined() + "0\r\nTrailer: x\r\n\r\n"
    let head =
      "POST /publishRealtimeEvent HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer \(fixture.key)\r\n"
      + "Content-Type: application/json; charset=UTF-8\r\nTransfer-Encoding: chunked\r\n\r\n"
    #expect(try fixture.exchange(head + chunked).map(\.status) == [200])
    #expect(try described(fixture.services.published[1].record).hasSuffix(#"{"t":"é"}"#))
  }

  @Test(arguments: [
    ("", "INVALID_ARGUMENT: the body is not JSON: the text is empty, at byte 0"),
    ("{", "INVALID_ARGUMENT: the body is not JSON: the text ends where a key should be, at byte 1"),
    (#"{"data":{}"#, "INVALID_ARGUMENT: the body is not JSON: the text ends inside an object, at byte 10"),
    ("{}", #"INVALID_ARGUMENT: the body must have the key "data""#),
    ("[]", #"INVALID_ARGUMENT: the body must be {"data": …}"#),
    (#"{"data":{},"extra":1}"#, #"INVALID_ARGUMENT: the body must have the key "data" and no other, not "extra""#),
    (#"{"data":{},"data":{}}"#, "INVALID_ARGUMENT: the body is not JSON: a key is there twice, at byte 11"),
    (#"{"data":{"a":1,"a":2}}"#, "INVALID_ARGUMENT: the body is not JSON: a key is there twice, at byte 15"),
    (#"{"data":null}"#, "INVALID_ARGUMENT: data must be an object with type, payload, and targetUserId or topic"),
    (
      #"{"data":"\#u{FFFD}"}"#.replacing("\u{FFFD}", with: "\\ud800"),
      "INVALID_ARGUMENT: the body is not JSON: the first half of a surrogate pair without its second, at byte 9"
    ),
  ]) func refusesBodiesThatAreNone(body: String, message: String) async throws {
    let fixture = try await HTTPFixture()
    let answers = try fixture.exchange(fixture.request("publishRealtimeEvent", body))
    #expect(answers.map(\.status) == [400])
    #expect(answers.first?.error == message)
    #expect(answers.first?.header("Content-Type") == "application/json")
    // A refusal is no reason to part.
    #expect(try fixture.exchange(fixture.publish("next")).map(\.status) == [200])
  }

  @Test func refusesOtherTypesAndEncodings() async throws {
    let fixture = try await HTTPFixture()
    let body = #"{"data":{"type":"notification","targetUserId":"u","payload":{}}}"#
    for type in [
      "application/json", "Application/JSON", "application/json; charset=utf-8", "application/json;charset=\"UTF-8\"",
    ] {
      #expect(try fixture.exchange(fixture.request("publishRealtimeEvent", body, type: type)).map(\.status) == [200])
    }
    for type in [nil, "text/plain", "application/jsonp", "application/json; charset=latin1", "multipart/form-data"] {
      let answers = try fixture.exchange(fixture.request("publishRealtimeEvent", body, type: type))
      #expect(answers.map(\.status) == [400])
      #expect(
        answers.first?.error
          == "INVALID_ARGUMENT: the Content-Type must be application/json, not \"\(type ?? "")\"")
    }
    let encoded = fixture.request("publishRealtimeEvent", body, headers: "Content-Encoding: gzip\r\n")
    #expect(try fixture.exchange(encoded)[0].error == "INVALID_ARGUMENT: the body must not have a Content-Encoding")
  }

  @Test func aTokenThatIsThereAndWrongIs401() async throws {
    let fixture = try await HTTPFixture()
    let request = fixture.publish("e")
    for (value, error) in [
      ("Bearer avk_wrong", "UNAUTHENTICATED: the API key is not known here"),
      ("Bearer x", TokenError.malformed.callError.message),
      ("Basic eDp5", "UNAUTHENTICATED: the Authorization header must be \"Bearer\" and a token or an API key"),
    ] {
      let answers = try fixture.exchange(request.replacing("Bearer \(fixture.key)", with: value))
      #expect(answers.map(\.status) == [401])
      #expect(answers[0].error?.hasSuffix(error) == true)
      #expect(answers[0].header("WWW-Authenticate") == "Bearer")
    }
    let without = request.replacing("Authorization: Bearer \(fixture.key)\r\n", with: "")
    #expect(try fixture.exchange(without).map(\.status) == [401])
    let token = try await userToken("ann")
    let asUser = request.replacing("Bearer \(fixture.key)", with: "Bearer \(token)")
    #expect(try fixture.exchange(asUser).map(\.status) == [403])
  }

  @Test func everyCodeTravelsOnItsStatus() async throws {
    let fixture = try await HTTPFixture()
    for code in StatusCode.allCases where code != .ok {
      fixture.services.publishAnswer = .failure(CallError(code, "said", retryAfterMilliseconds: 1001))
      let answer = try #require(try fixture.exchange(fixture.publish("e")).first)
      #expect(answer.status == code.httpStatus && ![408, 413, 502].contains(answer.status))
      #expect(answer.error?.hasPrefix("\(code.wireName): said") == true)
      #expect(answer.header("Retry-After") == "2")
    }
    fixture.services.publishAnswer = .failure(CallError(.unavailable, "away", retryAfterMilliseconds: 500))
    let answer = try fixture.exchange(fixture.publish("e9"))[0]
    #expect(answer.body.hasSuffix(#","details":{"retryAfterMs":500,"eventId":"e9"}}}"#))
  }

  // MARK: Methods

  @Test func otherMethodsAndPathsAreErrorsInJSON() async throws {
    let fixture = try await HTTPFixture()
    func ask(_ line: String) throws -> Answers.Answer {
      try #require(try fixture.exchange("\(line) HTTP/1.1\r\nHost: h\r\n\r\n").first)
    }
    // In both forms, whatever the project is called.
    for path in ["/getPresenceV1", "/app/us-central1/getPresenceV1", "/demo/us-central1/getPresenceV1"] {
      for method in ["GET", "PUT", "DELETE"] {
        let answer = try ask("\(method) \(path)")
        #expect(answer.status == 405 && answer.header("Allow") == "POST, OPTIONS", "\(method) \(path)")
        #expect(answer.error == "INVALID_ARGUMENT: getPresenceV1 takes POST, OPTIONS only")
      }
      let head = try #require(try fixture.exchangeHead("HEAD \(path) HTTP/1.1\r\nHost: h\r\n\r\n"))
      #expect(head.hasPrefix("HTTP/1.1 405 ") && head.hasSuffix("\r\n\r\n"))
    }
    for path in ["/app/us-central1/nothing", "/demo/us-central1/nothing", "/demo/nothing"] {
      #expect(try ask("GET \(path)").error?.hasPrefix("NOT_FOUND") == true)
    }
    #expect(try ask("DELETE /healthz").status == 405)
    #expect(try ask("GET /").error?.hasPrefix("NOT_FOUND") == true)
    #expect(try ask("GET /ws").status == 426)
    let head = try #require(try fixture.exchangeHead("HEAD /nothing HTTP/1.1\r\nHost: h\r\n\r\n"))
    #expect(head.hasPrefix("HTTP/1.1 404 ") && head.hasSuffix("\r\n\r\n") && head.contains("Content-Length: "))
  }

  @Test func tellsOfItsHealthUntilItDrains() async throws {
    let fixture = try await HTTPFixture()
    let request = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
    let healthy = try fixture.exchange(request)[0]
    #expect(healthy.status == 200 && healthy.body == #"{"status":"ok"}"# && healthy.header("Connection") == nil)
    fixture.health.drain()
    let draining = try fixture.exchange(request)[0]
    #expect(draining.status == 503 && draining.error == "UNAVAILABLE: this instance is draining")
    #expect(draining.header("Connection") == "close" && draining.header("Retry-After") == "1")
    #expect(!fixture.channel.isActive)
  }

  // MARK: CORS

  @Test(arguments: [
    (#""cors":{"origins":["https://app.example.com"]}"#, "https://app.example.com", true),
    (#""cors":{"origins":["https://app.example.com"]}"#, "https://app.example.com:8443", false),
    (#""cors":{"origins":["https://app.example.com"]}"#, "http://app.example.com", false),
    (#""cors":{"origins":["https://app.example.com"]}"#, "http://localhost:3000", false),
    (#""cors":{"origins":["https://app.example.com"]}"#, "null", false),
    (#""cors":{"origins":"loopback"}"#, "http://localhost:3000", true),
    (#""cors":{"origins":"loopback"}"#, "https://127.0.0.1", true),
    (#""cors":{"origins":"loopback"}"#, "http://[::1]:5173", true),
    (#""cors":{"origins":"loopback"}"#, "http://localhost.evil.com", false),
    (#""cors":{"origins":"loopback"}"#, "http://localhost:80@evil.com", false),
    (#""cors":{"origins":"loopback"}"#, "http://127.0.0.1.evil.com", false),
    (#""cors":{"origins":"loopback"}"#, "loopback", false),
    (#""cors":{"origins":"*"}"#, "https://anything.example", true),
    (#""cors":{"origins":"*"}"#, "null", false),
    (#""cors":{}"#, "http://localhost", false),
  ]) func reflectsAllowedOriginsOnEveryAnswer(settings: String, origin: String, allowed: Bool) async throws {
    let fixture = try await HTTPFixture(settings)
    let good = fixture.publish("e", headers: "Origin: \(origin)\r\n")
    let requests = [
      good, fixture.request("publishRealtimeEvent", "{", headers: "Origin: \(origin)\r\n"),
      good.replacing("POST /publishRealtimeEvent", with: "POST /nothing"), good.replacing("POST", with: "PUT"),
      good.replacing(fixture.key, with: "avk_x"), "GET /healthz HTTP/1.1\r\nHost: h\r\nOrigin: \(origin)\r\n\r\n",
    ]
    var statuses: [Int] = []
    for request in requests {
      let answer = try #require(try fixture.exchange(request).first)
      statuses.append(answer.status)
      #expect(answer.header("Access-Control-Allow-Origin") == (allowed ? origin : nil))
      #expect(answer.header("Vary") == "Origin")
    }
    #expect(statuses == [200, 400, 404, 405, 401, 200])

    let preflight = try fixture.exchange(
      "OPTIONS /publishRealtimeEvent HTTP/1.1\r\nHost: h\r\nOrigin: \(origin)\r\n"
        + "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization,content-type\r\n\r\n")[
        0]
    #expect(preflight.status == 204 && preflight.body.isEmpty && preflight.header("Vary") == "Origin")
    #expect(preflight.header("Access-Control-Allow-Origin") == (allowed ? origin : nil))
    #expect(preflight.header("Access-Control-Max-Age") == (allowed ? "7200" : nil))
    #expect(
      preflight.header("Access-Control-Allow-Headers")?.contains("Authorization, Content-Type")
        == (allowed ? true : nil))
    #expect(preflight.header("Content-Length") == nil)
  }

  // MARK: Many at once

  @Test func answersInTheOrderOfTheRequestsWhateverComesFirst() async throws {
    let fixture = try await HTTPFixture()
    fixture.services.publishAnswer = nil
    try fixture.send(
      fixture.publish("a") + fixture.publish("b") + "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n" + fixture.publish("c"))
    #expect(fixture.services.waiting.count == 3)
    #expect(try fixture.received().text.isEmpty)
    fixture.services.answerWaiting(at: 2, offset: 3)
    fixture.services.answerWaiting(at: 1, offset: 2)
    #expect(try fixture.received().text.isEmpty)
    fixture.services.answerWaiting(at: 0, offset: 1)
    let (text, writes) = try fixture.received()
    let answers = Answers(text)
    #expect(writes == 1 && answers.rest.isEmpty)
    #expect(answers.map { $0.body.firstRange(of: "offset") != nil } == [true, true, false, true])
    #expect(answers[0].body.contains(#""eventId":"a""#) && answers[0].body.contains(#""offset":1"#))
    #expect(answers[1].body.contains(#""eventId":"b""#) && answers[3].body.contains(#""eventId":"c""#))
  }

  @Test func sendsTheAnswersOfOneTurnTogether() async throws {
    let fixture = try await HTTPFixture()
    fixture.services.publishAnswer = nil
    try fixture.send((0..<10).map { fixture.publish("e\($0)") }.joined())
    for offset in 0..<10 { fixture.services.answerWaiting(offset: UInt64(offset)) }
    let (text, writes) = try fixture.received()
    #expect(writes == 1 && Answers(text).count == 10)
  }

  @Test func readsNoFurtherWhileManyWait() async throws {
    let fixture = try await HTTPFixture()
    fixture.services.publishAnswer = nil
    try fixture.send((0..<GatewayLimits.httpPipelinedMax).map { fixture.publish("e\($0)") }.joined())
    let reads = ReadCounter()
    try fixture.channel.pipeline.syncOperations.addHandler(reads, position: .first)
    fixture.channel.read()
    #expect(reads.count == 0)
    fixture.services.answerWaiting(offset: 1)
    #expect(Answers(try fixture.received().text).count == 1)
    #expect(reads.count == 1)
    fixture.channel.read()
    #expect(reads.count == 2)
  }

  @Test func readsNoFurtherWhileAnswersAreNotRead() async throws {
    let fixture = try await HTTPFixture()
    let reads = ReadCounter()
    try fixture.channel.pipeline.syncOperations.addHandler(reads, position: .first)
    fixture.channel.isWritable = false
    fixture.channel.pipeline.fireChannelWritabilityChanged()
    fixture.channel.read()
    #expect(reads.count == 0)
    fixture.channel.isWritable = true
    fixture.channel.pipeline.fireChannelWritabilityChanged()
    #expect(reads.count == 1)
  }

  // MARK: Ends

  @Test func closesWhenTheClientSaysSo() async throws {
    let fixture = try await HTTPFixture()
    let answer = try fixture.exchange(fixture.publish("e", headers: "Connection: close\r\n"))[0]
    #expect(answer.status == 200 && answer.header("Connection") == "close")
    #expect(!fixture.channel.isActive)
    let old = try await HTTPFixture()
    #expect(
      try old.exchange(old.publish("e").replacing("HTTP/1.1", with: "HTTP/1.0"))[0].header("Connection") == "close")
    #expect(!old.channel.isActive)
  }

  @Test func answersAClientThatHasShutDownItsSide() async throws {
    let fixture = try await HTTPFixture()
    fixture.services.publishAnswer = nil
    try fixture.send(fixture.publish("a"))
    fixture.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    #expect(fixture.channel.isActive)
    fixture.services.answerWaiting(offset: 1)
    #expect(Answers(try fixture.received().text).map(\.status) == [200])
    #expect(!fixture.channel.isActive)
    let idle = try await HTTPFixture()
    idle.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    #expect(!idle.channel.isActive)
  }

  @Test func stopsBetweenRequestsWhenItQuiesces() async throws {
    let idle = try await HTTPFixture()
    idle.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
    #expect(!idle.channel.isActive)

    let busy = try await HTTPFixture()
    busy.services.publishAnswer = nil
    let request = busy.publish("b")
    try busy.send(busy.publish("a"))
    try busy.send(String(request.prefix(100)))
    busy.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
    try busy.send(String(request.dropFirst(100)))
    busy.services.answerWaiting(offset: 1)
    busy.services.answerWaiting(offset: 2)
    let answers = Answers(try busy.received().text)
    #expect(answers.map { $0.header("Connection") } == [nil, "close"])
    #expect(!busy.channel.isActive)
  }

  @Test func forgetsAnswersThatComeAfterTheEnd() async throws {
    let fixture = try await HTTPFixture()
    fixture.services.publishAnswer = nil
    try fixture.send(fixture.publish("a"))
    fixture.channel.pipeline.fireChannelInactive()
    fixture.services.answerWaiting(offset: 1)
    #expect(try fixture.received().text.isEmpty)
  }

  @Test func answersAnUpgradeItDoesNotMakeAndParts() async throws {
    let fixture = try await HTTPFixture()
    let answers = try fixture.exchange(
      "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n"
    )
    #expect(answers.map(\.status) == [200] && answers[0].header("Connection") == "close")
    #expect(!fixture.channel.isActive)
  }

  @Test func asksForTheBodyOfAClientThatWaits() async throws {
    let fixture = try await HTTPFixture()
    let request = fixture.publish("e", headers: "Expect: 100-continue\r\n")
    let end = try #require(request.firstRange(of: "\r\n\r\n")).upperBound
    try fixture.send(String(request[..<end]))
    #expect(try fixture.received().text == "HTTP/1.1 100 Continue\r\n\r\n")
    #expect(try fixture.exchange(String(request[end...])).map(\.status) == [200])
    // But not for one that is refused anyway.
    let large = request.replacing(/Content-Length: \d+/, with: "Content-Length: 9999999")
    let answers = try fixture.exchange(String(large.prefix(upTo: large.firstRange(of: "\r\n\r\n")!.upperBound)))
    #expect(answers.map(\.status) == [400])
  }

  // MARK: Abuse

  /// A broadcast to very many users has a bound of its own, for who may.
  @Test func aBroadcastMayBeLarge() async throws {
    let fixture = try await HTTPFixture(#""limits":{"http_body_max":4096}"#)
    fixture.services.answer = { _ in
      .success(BroadcastBegun(broadcast: 1, durability: .os, duplicate: true))
    }
    let users = (0..<2000).map { "\"user-\($0)\"" }.joined(separator: ",")
    let body = #"{"data":{"userIds":[\#(users)],"event":{"type":"notification","payload":{}}}}"#
    #expect(try fixture.exchange(fixture.request("broadcastToUsers", body)).map(\.status) == [200])
    #expect((fixture.services.asked.first as? BeginBroadcast)?.recipients == 2000)
    for credential in ["", "Authorization: Bearer avk_wrong\r\n"] {
      let other = try await HTTPFixture(#""limits":{"http_body_max":4096}"#)
      try other.send(
        "POST /broadcastToUsers HTTP/1.1\r\nHost: h\r\n\(credential)Content-Length: \(body.utf8.count)\r\n\r\n")
      let answer = try #require(Answers(try other.received().text).first)
      #expect(answer.error == "INVALID_ARGUMENT: the body may have 4096 bytes")
    }
  }

  @Test func refusesBodiesOverTheBound() async throws {
    for chunked in [false, true] {
      let fixture = try await HTTPFixture(#""limits":{"http_body_max":4096}"#)
      let text = String(repeating: "x", count: 4000)
      let fits = #"{"data":{"type":"notification","targetUserId":"u","payload":{"t":"\#(text)"}}}"#
      #expect(try fixture.exchange(fixture.request("publishRealtimeEvent", fits)).map(\.status) == [200])
      let length = chunked ? "Transfer-Encoding: chunked" : "Content-Length: 4097"
      try fixture.send(
        "POST /publishRealtimeEvent HTTP/1.1\r\nHost: h\r\nOrigin: http://x\r\nContent-Type: application/json\r\n\(length)\r\n\r\n"
      )
      if chunked {
        for _ in 0..<4 { try fixture.send("400\r\n\(String(repeating: " ", count: 1024))\r\n") }
        #expect(try fixture.received().text.isEmpty)
        try fixture.send("1\r\n \r\n")
      }
      let answer = try #require(Answers(try fixture.received().text).first)
      #expect(answer.status == 400 && answer.error == "INVALID_ARGUMENT: the body may have 4096 bytes")
      #expect(answer.header("Connection") == "close")
      #expect(!fixture.channel.isActive)
    }
  }

  @Test(arguments: [
    "GET / HTTP/1.1\r\nX: \(String(repeating: "a", count: 17_000))",
    "GET /\(String(repeating: "a", count: 17_000))",
    String(repeating: "a", count: 17_000), String(repeating: "\r\n", count: 9000),
    "GET / HTTP/1.1\r\n" + String(repeating: "X: y\r\n", count: 65) + "\r\n",
    "GET / HTTP/1.1\r\n" + (0..<60).map { "X\($0): \(String(repeating: "y", count: 300))\r\n" }.joined() + "\r\n",
  ]) func refusesHeadsOverTheBound(text: String) async throws {
    let fixture = try await HTTPFixture()
    for piece in Array(text.utf8).chunks(of: 1000) where fixture.channel.isActive {
      _ = try? fixture.channel.writeInbound(ByteBuffer(bytes: piece))
    }
    let answer = try #require(Answers(try fixture.received().text).first)
    #expect(answer.status == 400 && answer.error?.hasPrefix("INVALID_ARGUMENT: ") == true)
    #expect(answer.header("Connection") == "close" && !fixture.channel.isActive)
  }

  @Test(arguments: [
    "\u{16}\u{3}\u{1}\u{2}\u{0}", "SSH-2.0-x\r\n\r\n", "GET / HTTP/2.0\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "GET / HTTP/1.1\r\nHost : x\r\n\r\n", "GET / HTTP/1.1\r\n X: y\r\n\r\n", "GET / HTTP/1.1\r\n: y\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcdefgh\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
  ]) func refusesWhatIsNotHTTP(text: String) async throws {
    let fixture = try await HTTPFixture()
    _ = try? fixture.channel.writeInbound(ByteBuffer(string: text))
    let answers = Answers(try fixture.received().text)
    #expect(
      answers.count == 1 && answers.first?.status == 400 && !fixture.channel.isActive, "\(answers.first?.body ?? "")")
    #expect(answers.first?.error?.hasPrefix("INVALID_ARGUMENT: this is not an HTTP/1.1 request") == true)
  }

  @Test func refusesARequestWithoutAHostOrWithACodingItCannotTakeOff() async throws {
    let fixture = try await HTTPFixture()
    let answer = try fixture.exchange("GET /healthz HTTP/1.1\r\n\r\n")[0]
    #expect(answer.status == 400 && answer.error == "INVALID_ARGUMENT: the header Host is missing")
    let old = try await HTTPFixture()
    #expect(try old.exchange("GET /healthz HTTP/1.0\r\n\r\n")[0].status == 200)
    let coded = try await HTTPFixture()
    let refusal = try coded.exchange(
      "POST /publishRealtimeEvent HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n")[0]
    #expect(refusal.status == 400 && refusal.error?.contains("Transfer-Encoding") == true)
  }

  @Test func refusesAHeaderThatSaysTwoThings() async throws {
    for header in ["Authorization: Bearer x", "Host: other", "Content-Type: text/plain", "Origin: http://y"] {
      let fixture = try await HTTPFixture()
      let answers = try fixture.exchange(fixture.publish("e", headers: "Origin: http://x\r\n\(header)\r\n"))
      #expect(answers.map(\.status) == [400] && answers[0].error?.hasSuffix("is there twice") == true)
      #expect(fixture.services.published.isEmpty)
    }
  }

  @Test func survivesNoiseInEveryPlace() async throws {
    var random = TestRandom(seed: 11)
    let template = try await HTTPFixture()
    let good = Array((template.publish("a") + template.publish("b")).utf8)
    for _ in 0..<150 {
      let fixture = try await HTTPFixture()
      var bytes = good
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      for piece in bytes.chunks(of: Int.random(in: 1...200, using: &random)) where fixture.channel.isActive {
        _ = try? fixture.channel.writeInbound(ByteBuffer(bytes: piece))
      }
      let answers = Answers(try fixture.received().text)
      #expect(answers.rest.isEmpty && answers.count <= 4)
      #expect(answers.allSatisfy { ![408, 413, 502, 500].contains($0.status) })
      _ = try? fixture.channel.finish()
    }
  }

  // MARK: Time

  @Test func aHeadThatTakesTooLongIsRefused() async throws {
    let fixture = try await HTTPFixture(#""limits":{"http_read_time":"2s"}"#)
    try fixture.send("POST /publish")
    for _ in 0..<3 {
      fixture.channel.embeddedEventLoop.advanceTime(by: .milliseconds(600))
      try fixture.send("R")
      #expect(try fixture.received().text.isEmpty)
    }
    // A byte now and then buys no time.
    fixture.channel.embeddedEventLoop.advanceTime(by: .milliseconds(200))
    let answer = try #require(Answers(try fixture.received().text).first)
    #expect(answer.status == 400 && answer.error == "INVALID_ARGUMENT: the request did not arrive within 2.0 s")
    #expect(!fixture.channel.isActive)
  }

  @Test func aBodyThatTakesTooLongIsRefused() async throws {
    let fixture = try await HTTPFixture(#""limits":{"http_read_time":"2s"}"#)
    let request = fixture.publish("e")
    // The head has its own time.
    try fixture.send(String(request.prefix(50)))
    fixture.channel.embeddedEventLoop.advanceTime(by: .milliseconds(1900))
    try fixture.send(String(request.dropFirst(50).dropLast(10)))
    fixture.channel.embeddedEventLoop.advanceTime(by: .milliseconds(1900))
    try fixture.send(String(request.suffix(10).prefix(5)))
    #expect(try fixture.received().text.isEmpty)
    fixture.channel.embeddedEventLoop.advanceTime(by: .milliseconds(100))
    #expect(Answers(try fixture.received().text).map(\.status) == [400])
    #expect(!fixture.channel.isActive && fixture.services.published.isEmpty)
  }

  @Test func anIdleConnectionIsClosedInSilence() async throws {
    let fixture = try await HTTPFixture(#""limits":{"http_idle_time":"3s"}"#)
    fixture.channel.embeddedEventLoop.advanceTime(by: .milliseconds(2900))
    #expect(try fixture.exchange(fixture.publish("e")).count == 1)
    fixture.channel.embeddedEventLoop.advanceTime(by: .milliseconds(2900))
    #expect(fixture.channel.isActive)
    fixture.channel.embeddedEventLoop.advanceTime(by: .milliseconds(100))
    #expect(!fixture.channel.isActive)
    #expect(try fixture.received().text.isEmpty)
  }

  @Test func aCallThatIsNeverAnsweredIsAnsweredAnyway() async throws {
    let fixture = try await HTTPFixture()
    fixture.services.publishAnswer = nil
    try fixture.send(fixture.publish("a") + "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
    fixture.channel.embeddedEventLoop.advanceTime(by: .seconds(74))
    #expect(try fixture.received().text.isEmpty)
    fixture.channel.embeddedEventLoop.advanceTime(by: .seconds(1))
    #expect(Answers(try fixture.received().text).map(\.status) == [504, 200])
    #expect(!fixture.channel.isActive)
    fixture.services.answerWaiting(offset: 1)
    #expect(try fixture.received().text.isEmpty)
  }

  @Test func aClientThatDoesNotReadIsClosed() async throws {
    let fixture = try await HTTPFixture()
    fixture.channel.isWritable = false
    fixture.channel.pipeline.fireChannelWritabilityChanged()
    fixture.channel.embeddedEventLoop.advanceTime(by: .seconds(19))
    #expect(fixture.channel.isActive)
    fixture.channel.embeddedEventLoop.advanceTime(by: .seconds(1))
    #expect(!fixture.channel.isActive)
  }

  /// Its answers are on their way and do not arrive, so it cannot become a WebSocket.
  @Test(.timeLimit(.minutes(1))) func aClientThatDoesNotReadAndWantsAWebSocketIsClosed() async throws {
    let fixture = try await HTTPFixture()
    let loop = fixture.channel.embeddedEventLoop
    let channel = EmbeddedChannel(loop: loop)
    try channel.pipeline.syncOperations.addHandler(Clog())
    let door = FrontDoor(policy: { _ in .accept(subprotocol: nil) }, http: { _, _ in }, transports: .none)
    try fixture.service.serve(
      channel, secure: false, handshake: LaterHandshake(door: door, isPlain: true, peer: PeerAddress()))
    channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
    try channel.writeInbound(
      ByteBuffer(
        string: "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\nGET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
          + "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"))
    loop.advanceTime(by: .seconds(19))
    #expect(channel.isActive)
    loop.advanceTime(by: .seconds(60))
    #expect(!channel.isActive)
  }
}

/// A peer that takes nothing: what is written stays on its way, though the channel is not full.
private final class Clog: ChannelOutboundHandler {
  typealias OutboundIn = Any
  private var held: [EventLoopPromise<Void>] = []
  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    if let promise { held.append(promise) }
  }
  func flush(context: ChannelHandlerContext) {}
  func handlerRemoved(context: ChannelHandlerContext) {
    for promise in held { promise.fail(ChannelError.ioOnClosedChannel) }
  }
}

/// Counts reads that reach the socket.
private final class ReadCounter: ChannelOutboundHandler {
  typealias OutboundIn = Any
  var count = 0
  func read(context: ChannelHandlerContext) {
    count += 1
    context.read()
  }
}

extension HTTPFixture {
  fileprivate func exchangeHead(_ text: String) throws -> String? {
    try send(text)
    return try received().text
  }
}

extension Array {
  func chunks(of size: Int) -> [[Element]] {
    stride(from: 0, to: count, by: size).map { Array(self[$0..<Swift.min($0 + size, count)]) }
  }
}
