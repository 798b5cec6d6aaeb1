import AvaloCore
import Testing

@testable import AvaloGateway

@Suite struct DueAnswersTests {
  private var due = DueAnswers()

  /// What the answers in front say that may leave, which they do.
  private mutating func leaving() -> [String] {
    var told: [String] = []
    while case .result(let text)? = due.first?.answer {
      told.append(String(decoding: text, as: UTF8.self))
      due.removeFirst()
    }
    return told
  }

  private func result(_ text: String) -> HTTPAnswer { .result(Array(text.utf8)) }

  @Test mutating func leaveInTheOrderOfTheirRequestsWhicheverIsReadyFirst() {
    let numbers = (0..<3).map { _ in due.append(HTTPExchange.Due()) }
    #expect(numbers == [0, 1, 2])
    let isSecondTaken = due.answer(1, result("b"))
    #expect(isSecondTaken && !due.isFirst(1))
    let none = leaving()
    #expect(none == [])
    let isFirstTaken = due.answer(0, result("a"))
    #expect(isFirstTaken && due.isFirst(0))
    let both = leaving()
    #expect(both == ["a", "b"])
    #expect(due.isFirst(2) && due.count == 1)
    // Numbers go on where they were.
    let next = due.append(HTTPExchange.Due())
    #expect(next == 3)
  }

  @Test mutating func takeOneAnswerARequest() {
    for _ in 0..<2 { due.append(HTTPExchange.Due()) }
    let isTaken = due.answer(1, result("in time"))
    #expect(isTaken)
    due.answerRest(result("late"))
    for number in 0..<2 {
      let isTakenAgain = due.answer(number, result("again"))
      #expect(!isTakenAgain)
    }
    let all = leaving()
    #expect(all == ["late", "in time"])
    let isTakenAfterwards = due.answer(0, result("afterwards"))
    #expect(!isTakenAfterwards, "it has left")
  }

  @Test mutating func knowWhetherAnythingIsOwedStill() {
    #expect(due.isEmpty && !due.allHaveLeft, "nothing was asked yet")
    due.append(HTTPExchange.Due())
    #expect(!due.allHaveLeft)
    due.answerRest(result("a"))
    #expect(!due.allHaveLeft, "it is ready, and has not left")
    due.removeFirst()
    #expect(due.allHaveLeft)
    let left = due.removeAll()
    #expect(left.isEmpty)
  }

  @Test mutating func knowWhoWaitsForSomethingToHappen() {
    let held = AnswerWriting(client: nil)
    held.whenAbandoned = {}
    let number = due.append(HTTPExchange.Due(writing: held))
    #expect(due.holdsSome)
    let isTaken = due.answer(number, result("it happened"))
    #expect(isTaken && !due.holdsSome)
  }
}
