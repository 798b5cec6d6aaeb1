import Testing

@testable import AvaloGateway

@Suite struct TrustedProxiesTests {
  private func proxies(_ networks: String...) -> TrustedProxies {
    TrustedProxies(networks.compactMap { AddressRange($0) })
  }

  @Test(arguments: [
    ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.1", false), ("10.0.0.0/9", "10.128.0.1", false),
    ("192.0.2.7", "192.0.2.7", true), ("192.0.2.7", "192.0.2.8", false), ("0.0.0.0/0", "8.8.8.8", true),
    ("::1", "::1", true), ("2001:db8::/33", "2001:db8:7fff::1", true), ("2001:db8::/33", "2001:db8:8000::1", false),
    ("10.0.0.0/8", "::ffff:10.1.2.3", true), ("::/0", "10.0.0.1", false), ("10.0.0.0/8", "nobody", false),
  ])
  func knowsItsNetworks(network: String, address: String, isTrusted: Bool) {
    #expect(proxies(network).contains(address) == isTrusted)
  }

  @Test(arguments: ["", "10", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "::/129", "host.example", "10.0.0.0/8/8"])
  func refusesWhatIsNoNetwork(text: String) {
    #expect(AddressRange(text) == nil)
  }

  @Test(arguments: [
    // Nobody else's word counts.
    ("203.0.113.9", "1.2.3.4", "203.0.113.9"),
    ("127.0.0.1", nil, "127.0.0.1"),
    ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
    // What a client made up stands before what our proxies added.
    ("127.0.0.1", "1.2.3.4, 203.0.113.9", "203.0.113.9"),
    ("127.0.0.1", "1.2.3.4,203.0.113.9 , 10.0.0.7", "203.0.113.9"),
    ("127.0.0.1", "10.0.0.8, 10.0.0.7", "10.0.0.8"),
    ("127.0.0.1", "203.0.113.9:4711", "203.0.113.9"), ("127.0.0.1", "[2001:db8::9]:80", "2001:db8::9"),
    ("127.0.0.1", "2001:db8::9", "2001:db8::9"),
    ("127.0.0.1", "unknown", "127.0.0.1"), ("127.0.0.1", "203.0.113.9, junk", "127.0.0.1"),
    ("127.0.0.1", ",", "127.0.0.1"),
  ])
  func findsTheClient(peer: String, forwardedFor: String?, client: String) {
    #expect(proxies("127.0.0.1", "10.0.0.0/8").client(behind: peer, forwardedFor: forwardedFor) == client)
  }

  @Test func countsAHouseholdAsOne() {
    #expect(AddressRange.household(of: "192.0.2.7") == "192.0.2.7")
    #expect(AddressRange.household(of: "::ffff:192.0.2.7") == "192.0.2.7")
    #expect(AddressRange.household(of: "2001:db8:1:2::7") == AddressRange.household(of: "2001:db8:1:2:ffff::8"))
    #expect(AddressRange.household(of: "2001:db8:1:2::7") != AddressRange.household(of: "2001:db8:1:3::7"))
    #expect(AddressRange.household(of: "") == "")
  }
}
