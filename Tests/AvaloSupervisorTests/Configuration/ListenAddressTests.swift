import Testing

@testable import AvaloSupervisor

@Suite struct ListenAddressTests {
  @Test(arguments: [
    ("127.0.0.1:8480", "127.0.0.1:8480", true), ("0.0.0.0:0", "0.0.0.0:0", false), ("[::1]:80", "[::1]:80", true),
    ("[0:0:0:0:0:0:0:1]:80", "[::1]:80", true), ("[::]:65535", "[::]:65535", false),
    ("127.9.9.9:1", "127.9.9.9:1", true), ("[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:1", true),
    ("[::ffff:10.0.0.1]:1", "[::ffff:10.0.0.1]:1", false), ("10.1.2.3:5", "10.1.2.3:5", false),
    ("unix:a.sock", "unix:/run/a.sock", true), ("unix:/tmp/b", "unix:/tmp/b", true),
  ])
  func readsAndWritesAddresses(text: String, written: String, isLocal: Bool) throws {
    let address = try #require(ListenAddress(text, folder: "/run"))
    #expect("\(address)" == written)
    #expect(address.isLocal == isLocal)
  }

  @Test(arguments: [
    "", "8480", ":8480", "localhost:80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:+1",
    "127.0.0.1:8 ", "::1:80", "[::1]", "[127.0.0.1]:80", "127.1:80", "unix:", "unix:/a/", "*:80", "256.0.0.1:1",
  ])
  func refusesWhatIsNone(text: String) {
    #expect(ListenAddress(text, folder: "/run") == nil)
  }
}
