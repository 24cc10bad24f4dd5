public class Phrases {}
