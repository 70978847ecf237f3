variable "size" {
  type = number
}

resource "terraform_data" "it" {
  count = 20
  input = "${var.size} ${count.index}"
}
