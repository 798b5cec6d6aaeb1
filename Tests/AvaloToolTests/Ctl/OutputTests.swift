import Testing

@testable import avaloctl

@Suite struct OutputTests {
  @Test func whatUsersWroteIsShownAndNotObeyed() {
    #expect(Output.printable("in a meeting ☕ é\nnext") == "in a meeting ☕ é\nnext")
    #expect(Output.printable("busy\u{1B}[2J\u{7}") == "busy\\u001b[2J\\u0007")
    #expect(Output.printable("\u{9B}31m \u{7F} \u{202E}txt") == "\\u009b31m \\u007f \\u202etxt")
    #expect(Output.tableLines([["ann", "a\n#9 FAKE"], ["bob", "b"]]) == ["ann  a\\u000a#9 FAKE", "bob  b"])
  }
}
