import AvaloTesting
import Glibc
import Synchronization
import Testing

@testable import AvaloReactor

@Suite struct MailboxTests {
  private final class Bell: Sendable {
    let rings = Atomic<Int>(0)
  }

  @Test func deliversInTheOrderOfPosting() {
    let mailbox = Mailbox<Int>(Waker {})
    for number in 0..<100 { mailbox.post(number) }
    var seen: [Int] = []
    mailbox.drain { seen.append($0) }
    #expect(seen == Array(0..<100))
    mailbox.drain { _ in Issue.record("drained twice") }
  }

  @Test func wakesOnceUntilTheLoopAnswers() {
    let bell = Bell()
    let waker = Waker { bell.rings.add(1, ordering: .relaxed) }
    let first = Mailbox<Int>(waker)
    let second = Mailbox<Int>(waker)
    first.post(1)
    first.post(2)
    second.post(3)
    #expect(bell.rings.load(ordering: .relaxed) == 1)
    waker.answered()
    first.drain { _ in }
    first.post(4)
    #expect(bell.rings.load(ordering: .relaxed) == 2)
  }

  @Test func letsGoOfMailNobodyTook() {
    final class Parcel: Sendable {
      let bell: Bell
      init(_ bell: Bell) { self.bell = bell }
      deinit { bell.rings.add(1, ordering: .relaxed) }
    }
    let bell = Bell()
    var mailbox: Mailbox<Parcel>? = Mailbox(Waker {})
    for _ in 0..<10 { mailbox!.post(Parcel(bell)) }
    mailbox = nil
    #expect(bell.rings.load(ordering: .relaxed) == 10)
  }

  /// Posters on several threads, one drainer that sleeps until it is woken: nothing is lost, nothing comes twice, each
  /// poster's mail stays in order, and no wake-up is missed.
  @Test func survivesManyPosters() throws {
    let posters = 4
    let mails = 20_000
    var ends: [Int32] = [-1, -1]
    try #require(pipe(&ends) == 0)
    let (bellEnd, ringEnd) = (ends[0], ends[1])
    defer {
      close(bellEnd)
      close(ringEnd)
    }
    let waker = Waker {
      var ring: UInt8 = 1
      write(ringEnd, &ring, 1)
    }
    let mailbox = Mailbox<(poster: Int, number: Int)>(waker)

    final class Poster: LoopThread.Body {
      let work: @Sendable () -> Void
      init(_ work: @escaping @Sendable () -> Void) { self.work = work }
      func run() { work() }
    }
    let threads = try (0..<posters).map { poster in
      try LoopThread.start(
        name: "poster",
        Poster {
          for number in 0..<mails {
            mailbox.post((poster, number))
            if number % 97 == 0 { sched_yield() }
          }
        })
    }
    var next = [Int](repeating: 0, count: posters)
    var total = 0
    while total < posters * mails {
      var polled = pollfd(fd: bellEnd, events: Int16(POLLIN), revents: 0)
      let ready = poll(&polled, 1, SocketProbe.patience)
      if ready != 1 {
        Issue.record("a wake-up was missed after \(total) mails")
        break
      }
      var ring: UInt8 = 0
      read(bellEnd, &ring, 1)
      waker.answered()
      mailbox.drain { mail in
        if mail.number != next[mail.poster] { Issue.record("a poster's mail is out of order") }
        next[mail.poster] = mail.number + 1
        total += 1
      }
    }
    for thread in threads { thread.join() }
    #expect(next == [Int](repeating: mails, count: posters))
    mailbox.drain { _ in Issue.record("too much mail") }
  }
}
