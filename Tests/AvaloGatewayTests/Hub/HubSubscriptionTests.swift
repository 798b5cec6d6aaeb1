import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

/// Topics that come and go over a live connection.
@Suite struct HubSubscriptionTests {
  let epoch = testEpoch

  @Test func subscribesAndUnsubscribesOverALiveConnection() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: position(0), chats: ["c"])
    loop.say(ann, #"{"id":1,"call":"subscribeToRealtimeEventsV1","data":{"subscriptions":["chat:c","chat:other"]}}"#)
    let cursors = try #require(try loop.port.take(Cursors.self).first)
    // The token names one of them; in the other the user has to be a member.
    #expect(
      cursors.message.topics
        == [.init(Topic("chat:c")!, isGranted: true), .init(Topic("chat:other")!, isGranted: false)])
    loop.scheduler {
      $0.frame(
        Attached(answers: [.granted(position(0), since: 0), .denied(.permissionDenied)]),
        correlation: cursors.correlation)
    }
    let reads = try #require(loop.port.requests.last)
    loop.mail(
      .service(id: reads.id, .success(.answered(ReadState(unread: [.init(chat: "c", count: 2)], receipts: [])))))
    loop.turn()
    let answer = try #require(loop.take(ann).first)
    #expect(answer.contains(#""unread":{"c":2},"receipts":[]"#))
    #expect(answer.contains(#""subscriptions":["chat:c"]"#))
    #expect(answer.contains(#""denied":[{"topic":"chat:other","code":"PERMISSION_DENIED"}]"#))
    loop.say(ann, #"{"id":2,"call":"unsubscribe","data":{"subscriptions":["chat:c"]}}"#)
    #expect(loop.take(ann).last == #"{"id":2,"result":{"success":true}}"#)
    #expect(try loop.port.take(Unwatch.self).flatMap(\.message.handles).count == 2)
  }

  /// The place of a subscription that was given up is used again: an answer that is still on its way is not for the new
  /// one, which would begin at another topic's cursor.
  @Test func givesACursorOnlyToTheTopicItWasAskedFor() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: position(0), chats: ["a", "b"])
    loop.say(ann, #"{"id":1,"call":"subscribeToRealtimeEventsV1","data":{"subscriptions":["chat:a"]}}"#)
    let stale = try #require(try loop.port.take(Cursors.self).first)
    loop.say(ann, #"{"id":2,"call":"unsubscribe","data":{"subscriptions":["chat:a"]}}"#)
    loop.say(ann, #"{"id":3,"call":"subscribeToRealtimeEventsV1","data":{"subscriptions":["chat:b"]}}"#)
    let fresh = try #require(try loop.port.take(Cursors.self).first)
    let watch = try #require(try loop.port.take(Watch.self).last?.message.entries.first)
    loop.scheduler { $0.frame(Watched(heads: [Head(handle: watch.handle, position: position(9), floor: 0)])) }
    loop.scheduler { $0.frame(Attached(cursors: [position(3)]), correlation: stale.correlation) }
    #expect(try loop.port.take(Read.self).isEmpty)
    loop.scheduler { $0.frame(Attached(cursors: [position(8)]), correlation: fresh.correlation) }
    #expect(try loop.port.take(Read.self).map(\.message.after) == [8])
  }

  /// More names than fit in one frame: the session is registered with the first, the others follow.
  @Test func asksForManyCursorsInParts() throws {
    let loop = try TestLoop()
    loop.hub.policy.limits.topicsPerConnectionMax = 10_000
    loop.linkUp()
    let chats = (0..<1200).map { "c\($0)" }
    let connection = loop.open()
    let request = ConnectRequest(subscriptions: chats.map { "chat:\($0)" })
    loop.turn { loop.hub.connect(loop.hub.session(of: connection)!, identity("ann", chats: chats), request) }
    let attach = try #require(try loop.port.take(Attach.self).last)
    #expect(attach.message.topics.count == HubLimits.batchMax)
    let cursors = attach.message.topics.map { _ in position(0) }
    loop.scheduler { $0.frame(Attached(cursors: cursors), correlation: attach.correlation) }
    #expect(loop.take(connection).first?.kindOfFrame == "ready")
    let rest = try loop.port.take(Cursors.self).map(\.message.topics)
    #expect(rest.map(\.count) == [512, 176])
    #expect(Set(attach.message.topics + rest.joined()).count == chats.count)
  }

  @Test func unsubscribesSeveralTopicsAtOnce() throws {
    let loop = try TestLoop()
    let chats = (0..<20).map { "c\($0)" }
    let ann = try loop.live("ann", at: position(0), chats: chats)
    let all = chats.map { "\"chat:\($0)\"" }
    let ask =
      #"{"id":1,"call":"subscribeToRealtimeEventsV1","data":{"subscriptions":[\#(all.joined(separator: ","))]}}"#
    loop.say(ann, ask)
    let odd = all.enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
    loop.say(ann, #"{"id":2,"call":"unsubscribe","data":{"subscriptions":[\#(odd.joined(separator: ","))]}}"#)
    let session = try #require(loop.hub.session(of: ann))
    let left = loop.hub.topics(of: session).map(\.name)
    #expect(left == ["user:ann"] + chats.enumerated().filter { $0.offset % 2 == 0 }.map { "chat:\($0.element)" })
    #expect(session.subscriptionCount == 11)
  }

  private func position(_ offset: UInt64) -> Position { Position(epoch: epoch, offset: offset) }
}
