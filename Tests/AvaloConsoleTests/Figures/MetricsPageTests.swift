import Testing

@testable import AvaloConsole

@Suite struct MetricsPageTests {
  private func page(_ text: String, _ names: Set<Substring>) -> MetricsPage { MetricsPage(Array(text.utf8), of: names) }

  @Test func readsTheSamplesThatAreOfInterest() {
    let page = page(
      """
      # HELP a_total Words about a_total 5
      # TYPE a_total counter
      a_total{worker="gateway",slot="0"} 2
      a_total{worker="gateway",slot="1"} 3.5
      a_total_more 9
      b 1e3

      nonsense
      c{d="e"}
      """, ["a_total", "b", "c", "nonsense"])
    #expect(page.samples.map { "\($0.name)=\($0.value)" } == ["a_total=2.0", "a_total=3.5", "b=1000.0"])
    #expect(page.sum("a_total") == 5.5)
    #expect(page.sum("c") == nil)
  }

  @Test func readsLabelsWhateverIsInThem() {
    let page = page(#"a{x="1",le="+Inf",y="q\",le=\"2",z="}"} 7"#, ["a"])
    let sample = page.samples[0]
    #expect(sample.label("x") == "1" && sample.label("le") == "+Inf" && sample.label("z") == "}")
    #expect(sample.label("e") == nil && sample.label("") == nil)
    #expect(page.samples.count == 1)
    #expect(self.page("a 1", ["a"]).samples[0].label("x") == nil)
    #expect(self.page("a{x 1", ["a"]).samples[0].label("x") == nil)
  }
}
