import AvaloCore
import Testing

@testable import AvaloClient

@Suite struct PollAnswerTests {
  @Test func readsACursor() {
    let epoch = Epoch(rawValue: 0x1_42d1_c0aa)
    #expect(
      PollAnswer.positions("user:ann=0000000142d1c0aa.17,chat:a.b=0000000142d1c0aa.2,chat:new")
        == ["user:ann": Position(epoch: epoch, offset: 17), "chat:a.b": Position(epoch: epoch, offset: 2)])
    #expect(PollAnswer.positions("") == [:])
    #expect(PollAnswer.positions("chat:a=0000000142d1c0aa.18446744073709551615") == [:])
    #expect(PollAnswer.positions("a=b.c,=.,x=0000000142d1c0aa.") == [:])
  }

  @Test func becomesTheFramesOfAStream() throws {
    let answer = try PollAnswer(
      JSONText(
        validating: #"""
          {"success":true,"events":[
            {"eventId":"e1","type":"chat_message","payload":{"x":[1]},"timestamp":1,"topic":"user:u","offset":18},
            {"eventId":"r1","type":"read_receipt","payload":{},"timestamp":1,"topic":"chat:c","version":3}],
           "gaps":[{"topic":"user:u","from":19,"to":20,"reason":"expired"}],
           "unsubscribed":[{"topic":"chat:d","code":"PERMISSION_DENIED","message":"no"}],
           "cursor":"user:u=0000000000000001.20","serverTime":1}
          """#))
    #expect(answer.cursor == "user:u=0000000000000001.20")
    let epoch = Epoch(rawValue: 1)
    #expect(answer.need == ["user:u": Position(epoch: epoch, offset: 18)])
    guard case .event(let delivery)? = answer.news.first else { throw CancellationError() }
    #expect(delivery.offset == 18)
    #expect(delivery.epoch == epoch)
    #expect(delivery.event.payload.description == #"{"x":[1]}"#)
    guard case .fact(let fact) = answer.news[1] else { throw CancellationError() }
    #expect(fact.version == 3)
    #expect(answer.news[2] == .gap(ServerFrame.Gap(topic: "user:u", offsets: 19...20, reason: "expired", epoch: nil)))
    #expect(answer.news[3] == .unsubscribed(topic: "chat:d", CallError(.permissionDenied, "no")))
    #expect(answer.live == [.live(topic: "user:u", Position(epoch: epoch, offset: 20))])
  }

  /// The log was away when the polls began: without a cursor nothing else says which topics.
  @Test func aPollWithoutACursorNamesItsTopics() {
    #expect(
      PollAnswer.request("c9", cursor: nil, deviceID: "d", subscriptions: ["user:u", "chat:c"]).description
        == #"{"connectionId":"c9","subscriptions":["user:u","chat:c"],"holdMs":25000,"deviceId":"d"}"#)
    #expect(
      PollAnswer.request("c9", cursor: "user:u", deviceID: nil, subscriptions: ["user:u"], holdMilliseconds: 0)
        .description == #"{"connectionId":"c9","cursor":"user:u","holdMs":0}"#)
  }

  @Test func saysWhenTheEngineIsOff() throws {
    #expect(try PollAnswer.begin(JSONText(validating: #"{"enabled":false}"#)) == nil)
  }

  @Test func anAnswerThatIsNoneIsBroken() throws {
    let answer = try JSONText(validating: #"{"events":[{"offset":1}]}"#)
    #expect(throws: ClientError.self) { try PollAnswer(answer) }
  }
}
