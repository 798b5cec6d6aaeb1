import AvaloCore
import AvaloReactor
import AvaloTesting
import AvaloWire
import Testing

@testable import AvaloGateway

/// A member who comes and goes, the log's answers and steps on their way, links that are lost, in any order: nothing is shown
/// after a removal was answered, and in the end the watcher is shown what they may see.
@Suite struct HubPartnersModelTests {
  @Test(arguments: UInt64(1)...60) func showsNothingAfterARemovalWasAnswered(seed: UInt64) throws {
    var random = TestRandom(seed: seed)
    let model = try Model()
    for _ in 0..<120 {
      try model.step(Int.random(in: 0..<16, using: &random))
      #expect(model.leaks.isEmpty, "\(model.leaks) after \(model.story.suffix(12))")
      guard model.leaks.isEmpty else { return }
    }
    try model.settle()
    #expect(!model.hasEnded)
    #expect(model.shown == (model.isMember ? model.activity : nil), "after \(model.story.suffix(20))")
  }
}

/// Ann is in c1 and shows what she does to who is, too; bob watches her. The log, its link, and the presence worker are here.
private final class Model {
  private enum Mail {
    case answer(UInt32, isMember: Bool)
    case removed(UInt64)
  }

  private let loop: TestLoop
  private let bob: ConnectionID
  private let handles: [UInt32]
  /// As the log has it.
  private(set) var isMember = false
  /// Bob may still be shown what is for partners: nobody was told that he is gone.
  private var mayBeShown = false
  private var isLinked = true
  private var asked: [UInt32] = []
  /// From the log to the loop, in order.
  private var mail: [Mail] = []
  private var position: UInt64 = 0
  private var version: UInt64 = 0
  private(set) var activity = ""
  /// As bob's client has it.
  private(set) var shown: String?
  private(set) var leaks: [String] = []
  private(set) var story: [String] = []
  var hasEnded: Bool { loop.closes[bob.slot] != nil }

  init() throws {
    loop = try TestLoop()
    bob = try loop.live("bob", at: Position(epoch: testEpoch, offset: 0))
    handles = try loop.watch(bob, ["ann"])
    change()
  }

  func step(_ choice: Int) throws {
    switch choice {
    case 0:
      isMember = true
      mayBeShown = true
      note("added")
    case 1: remove()
    case 2...5: change()
    case 6: unlink()
    case 7: link()
    case 8...10: answer()
    case 11: pass(HubLimits.membershipSeconds + 1)
    default: deliver()
    }
  }

  /// Everything arrives, and the time passes after which the log is asked again.
  func settle() throws {
    link()
    for _ in 0..<3 {
      while !asked.isEmpty || !mail.isEmpty {
        answer()
        deliver()
      }
      pass(HubLimits.membershipSeconds + 1)
    }
  }

  private func remove() {
    note("removed")
    isMember = false
    position += 1
    // A gateway without a link is not waited for.
    if isLinked { mail.append(.removed(position)) } else { mayBeShown = false }
  }

  private func change() {
    version += 1
    activity = "a\(version)"
    note("change \(version)")
    loop.tell(handles, version, version % 3 == 0 ? .busy : .online, activity: activity, chats: ["c1"])
    look(mayShow: mayBeShown)
  }

  private func answer() {
    guard let id = asked.first else { return }
    note("answer \(isMember)")
    asked.removeFirst()
    mail.append(.answer(id, isMember: isMember))
  }

  private func deliver() {
    guard !mail.isEmpty else { return }
    switch mail.removeFirst() {
    case .answer(let id, let isMember):
      note("delivered \(isMember)")
      loop.mail(.service(id: id, .success(.answered(Memberships(chats: isMember ? ["c1"] : [])))))
      loop.turn()
      look(mayShow: mayBeShown)
    case .removed(let position):
      note("delivered removal")
      loop.removed("c1", ["bob"], position: position)
      // Confirmed, and so answered, in that turn; unless he has been a member again since.
      if !mail.contains(where: { if case .removed = $0 { true } else { false } }) { mayBeShown = isMember }
      look(mayShow: mayBeShown)
    }
  }

  private func unlink() {
    guard isLinked else { return }
    note("link lost")
    isLinked = false
    loop.mail(.schedulerDown)
    let lost = asked + mail.compactMap { if case .answer(let id, _) = $0 { id } else { nil } }
    for id in lost { loop.mail(.service(id: id, .failure(.schedulerLost))) }
    loop.turn()
    look(mayShow: mayBeShown)
    asked = []
    mail = []
    mayBeShown = isMember
  }

  private func link() {
    guard !isLinked else { return }
    note("link made")
    isLinked = true
    loop.linkUp()
    look(mayShow: mayBeShown)
  }

  private func pass(_ seconds: UInt32) {
    note("time")
    loop.advance(seconds)
    loop.writer.slots[Int(bob.slot)].lastReceived = loop.writer.nowSeconds
    look(mayShow: mayBeShown)
  }

  /// What bob was sent, and what the log was asked, since the last time.
  private func look(mayShow: Bool) {
    for news in loop.news(bob) {
      let words = news.split(separator: " ").map(String.init)
      shown = words.dropFirst(2).first { !$0.hasPrefix("(") }
      if shown != nil, !mayShow { leaks.append(news) }
    }
    asked += loop.port.takeRequests { if case .ask(let query as MembershipsQuery) = $0 { query } else { nil } }.map(
      \.id)
  }

  private func note(_ what: String) { story.append(what) }
}
